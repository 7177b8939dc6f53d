-- Gives back suspects that can't be begun beside what the worker holds (core::poison); others come first. Called by store/lanes.rs.
-- A file, so that a test can ask it for a lane that is another's: see tests/engine/restores.rs.
UPDATE {schema}.ready SET lane = NULL, due_at = {schema}.now() + interval '1 second'
WHERE lane = $1 AND run_id = ANY ($2)
  AND EXISTS (SELECT FROM {schema}.lane WHERE id = $1 AND token = $3 AND alive)
