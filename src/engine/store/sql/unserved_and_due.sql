-- Brings runs from queues that nobody serves to workers that can do what is due of them: end one whose deadline is over or
-- that is to stop, fire a timer, take a signal. Called by store/holds.rs, every few seconds. The worker that claims such a run
-- does that, and hands it over again for the rest.
-- live: what workers with a beating lane serve. A run goes to its home queue, or where nobody serves that, to any queue of a
--    worker that has its workflow.
-- What counts is gone once the run has been looked at, or it would come and go without end: no attempt counts.
-- The lock keeps other processes from asking the same: each run in such a queue costs a look at its steps.
WITH RECURSIVE turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('{schema} unserved_and_due')) AS mine),
live AS MATERIALIZED (
    SELECT DISTINCT w.queues, w.workflows FROM {schema}.worker w JOIN {schema}.lane l ON l.worker_id = w.id WHERE l.alive
),
queues AS (
    (SELECT q.queue FROM {schema}.ready q, turn WHERE turn.mine AND q.lane IS NULL ORDER BY q.queue LIMIT 1)
    UNION ALL
    SELECT (SELECT q.queue FROM {schema}.ready q WHERE q.lane IS NULL AND q.queue > b.queue ORDER BY q.queue LIMIT 1)
    FROM queues b WHERE b.queue IS NOT NULL
),
now AS MATERIALIZED (SELECT {schema}.now() AS now),
due AS (
    SELECT q.run_id, (
        SELECT served FROM live, unnest(live.queues) served
        WHERE q.workflow_id = ANY (live.workflows) ORDER BY served <> r.queue, served LIMIT 1) AS queue
    FROM now, queues b
    JOIN {schema}.ready q ON q.lane IS NULL AND q.queue = b.queue
    JOIN {schema}.run r ON r.id = q.run_id
    WHERE NOT starts_with(b.queue, '@')
      AND NOT EXISTS (SELECT FROM live WHERE b.queue = ANY (live.queues))
      AND r.status <> 3 AND (
        r.request = 2
        OR (r.request = 1 OR r.deadline_at <= now.now) AND NOT EXISTS (
            SELECT FROM {schema}.step p WHERE p.run_id = r.id AND p.kind = 4)
        OR EXISTS (
            SELECT FROM {schema}.step s
            WHERE s.run_id = r.id AND s.outcome IS NULL AND s.direction = 0 AND (
                s.due_at <= now.now
                OR s.kind = 2 AND EXISTS (
                    SELECT FROM {schema}.signal g WHERE g.run_id = r.id AND g.name = s.name AND g.consumed_by IS NULL))))
    LIMIT $1 FOR NO KEY UPDATE OF q SKIP LOCKED
)
UPDATE {schema}.ready q SET queue = due.queue, due_at = now.now
FROM now, due
WHERE q.run_id = due.run_id AND q.lane IS NULL AND due.queue IS NOT NULL
