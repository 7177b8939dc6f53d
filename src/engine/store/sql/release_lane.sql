-- A lane ends in good order: it is dead, and its runs are due for others. Called by store/lanes.rs at shutdown.
-- mine: FOR UPDATE, as a takeover does, so that this waits for the transactions of the lane's steps (flush.sql).
WITH mine AS (
    SELECT id FROM {schema}.lane WHERE id = $1 AND token = $2 FOR UPDATE
),
dead AS (
    UPDATE {schema}.lane l SET alive = false FROM mine WHERE l.id = mine.id RETURNING l.id
)
UPDATE {schema}.ready SET lane = NULL, fresh = false WHERE lane IN (SELECT id FROM dead)
