-- Gives one run of a lane back. Called by store/lanes.rs.
-- f: the fence.
-- The row in `ready` is a place to wait: a transactional step's commit whose answer was lost may still be under way on the
-- server, and has it locked until it is over. The next worker then reads what it left.
WITH f AS (
    UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND token = $3 AND alive RETURNING id
)
UPDATE {schema}.ready q SET lane = NULL, fresh = false FROM f WHERE q.run_id = $2 AND q.lane = f.id
