-- Brings runs back to their home queue that were put aside for a held activity, where something else of them is due. Called
-- by store/holds.rs, every few seconds. A worker that claims such a run does what is due, and puts it aside again.
-- What counts is gone once the run has been looked at, or it would come and go without end: a timer or deadline fires, a
-- signal is taken, a request is acted on, another step's retry is made (or waits, or is held too).
-- The lock keeps other processes from asking the same: each run that is aside costs a look at its steps.
WITH RECURSIVE turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('{schema} held_and_due')) AS mine),
queues AS (
    (SELECT q.queue FROM {schema}.ready q, turn WHERE turn.mine AND q.lane IS NULL ORDER BY q.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT q.queue FROM {schema}.ready q WHERE q.lane IS NULL AND q.queue > b.queue ORDER BY q.queue LIMIT 1)
    FROM queues b WHERE b.queue IS NOT NULL
),
now AS MATERIALIZED (SELECT {schema}.now() AS now),
due AS (
    SELECT q.run_id
    FROM now, queues b
    JOIN {schema}.ready q ON q.lane IS NULL AND q.queue = b.queue
    JOIN {schema}.run r ON r.id = q.run_id
    WHERE starts_with(b.queue, '@activity/') AND (
        (r.status <> 3 AND (r.request = 2 OR (r.request = 1 OR r.deadline_at <= now.now) AND NOT EXISTS (
            SELECT FROM {schema}.step p WHERE p.run_id = r.id AND p.kind = 4)))
        OR EXISTS (
            SELECT FROM {schema}.step s
            WHERE s.run_id = r.id AND s.outcome IS NULL AND s.direction = CASE r.status WHEN 3 THEN 1 ELSE 0 END AND (
                s.due_at <= now.now
                OR s.next_attempt_at <= now.now AND NOT EXISTS (
                    SELECT FROM {schema}.hold h WHERE h.kind = 'activity' AND h.name = s.name)
                OR s.kind = 2 AND EXISTS (
                    SELECT FROM {schema}.signal g WHERE g.run_id = r.id AND g.name = s.name AND g.consumed_by IS NULL))))
    LIMIT $1 FOR NO KEY UPDATE OF q SKIP LOCKED
)
UPDATE {schema}.ready q SET queue = r.queue, due_at = now.now
FROM now, {schema}.run r
WHERE r.id = q.run_id AND q.run_id = ANY (ARRAY(SELECT run_id FROM due))
