-- Makes parked runs due whose timer has come. Called by store/timers.rs.
-- A run that is in `ready` already is left alone, with its timer: its worker parks it again, with a new time.
-- r: a run that a caller has signalled in a transaction which is still open is skipped, and comes up again: its row in
--    `ready` may be there, invisible, and the insert below would wait for that transaction, with everybody else's timers.
-- LATERAL: each run is looked up by its key, whatever the plan was made for.
-- ON CONFLICT: a signal may have woken it a moment ago.
WITH fired AS (
    DELETE FROM {schema}.timer WHERE ctid = ANY (ARRAY(
        SELECT t.ctid
        FROM {schema}.timer t,
            LATERAL (SELECT FROM {schema}.run WHERE id = t.run_id FOR NO KEY UPDATE SKIP LOCKED) r
        WHERE t.due_at <= (SELECT {schema}.now())
          AND NOT EXISTS (SELECT FROM {schema}.ready q WHERE q.run_id = t.run_id)
        ORDER BY t.due_at LIMIT $1 FOR UPDATE OF t SKIP LOCKED
    ))
    RETURNING run_id, due_at
)
INSERT INTO {schema}.ready (run_id, due_at, workflow_id, fresh, queue)
SELECT f.run_id, f.due_at, r.workflow_id, false, r.queue
FROM fired f, LATERAL (SELECT * FROM {schema}.run WHERE id = f.run_id LIMIT 1) r
WHERE r.status IN (0, 1, 3)
ON CONFLICT (run_id) DO NOTHING
RETURNING due_at, {schema}.now() AS now
