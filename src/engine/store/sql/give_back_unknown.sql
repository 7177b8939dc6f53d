-- Gives back the runs that the table says the lane holds and its worker does not know of: a claim whose answer was lost. Called by
-- store/lanes.rs. A file, so that a test can ask it for a lane that is another's: see tests/engine/restores.rs.
UPDATE {schema}.ready SET lane = NULL, fresh = false
WHERE lane = $1 AND run_id <> ALL ($2)
  AND EXISTS (SELECT FROM {schema}.lane WHERE id = $1 AND token = $3 AND alive)
