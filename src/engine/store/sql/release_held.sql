-- Brings runs back to their home queue that were put aside for an activity which is held no more. Called by store/holds.rs,
-- at a release and then again and again: a worker that has not heard of the release may put one aside after it.
-- queues: the distinct queues of what is due, by skipping through `ready_claim`: `ready` may have a million rows, and
--    their queues are few. A range from '@' on would depend on the database's collation.
-- SKIP LOCKED: a signal or request brings the same run back just now, or another process does.
WITH RECURSIVE queues AS (
    (SELECT q.queue FROM {schema}.ready q WHERE q.lane IS NULL ORDER BY q.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT q.queue FROM {schema}.ready q WHERE q.lane IS NULL AND q.queue > b.queue ORDER BY q.queue LIMIT 1)
    FROM queues b WHERE b.queue IS NOT NULL
),
released AS (
    SELECT b.queue FROM queues b
    WHERE starts_with(b.queue, '@activity/')
      AND NOT EXISTS (SELECT FROM {schema}.hold h WHERE h.kind = 'activity' AND '@activity/' || h.name = b.queue)
)
UPDATE {schema}.ready q SET queue = r.queue, due_at = {schema}.now()
FROM {schema}.run r
WHERE r.id = q.run_id AND q.run_id = ANY (ARRAY(
    SELECT q.run_id FROM released b JOIN {schema}.ready q ON q.lane IS NULL AND q.queue = b.queue
    LIMIT $1 FOR NO KEY UPDATE OF q SKIP LOCKED
))
