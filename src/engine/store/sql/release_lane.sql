-- A lane ends in good order: it is dead, and its runs are due for others. Called by store/lanes.rs at shutdown.
WITH dead AS (
    UPDATE {schema}.lane SET alive = false WHERE id = $1 AND token = $2 RETURNING id
)
UPDATE {schema}.ready SET lane = NULL, fresh = false WHERE lane IN (SELECT id FROM dead)
