-- What metrics show beside the counts by status (counts.sql). Called by store/gauges.rs.
-- p: the oldest due run of each (queue, workflow), by one descent of ready_claim for each pair, however long the backlog is.
--    A run that is held back, or was put aside for a hold (a queue of our own, with @), is not overdue: somebody wants it to wait.
WITH RECURSIVE p AS (
    (SELECT q.queue, q.workflow_id, q.due_at FROM {schema}.ready q
     WHERE q.lane IS NULL ORDER BY q.queue, q.workflow_id, q.due_at LIMIT 1)
    UNION ALL
    SELECT n.queue, n.workflow_id, n.due_at FROM p, LATERAL (
        SELECT q.queue, q.workflow_id, q.due_at FROM {schema}.ready q
        WHERE q.lane IS NULL AND (q.queue, q.workflow_id) > (p.queue, p.workflow_id)
        ORDER BY q.queue, q.workflow_id, q.due_at LIMIT 1
    ) n
)
SELECT coalesce(greatest(extract(epoch FROM {schema}.now() - (
        SELECT min(p.due_at) FROM p
        WHERE NOT starts_with(p.queue, '@') AND NOT EXISTS (
            SELECT FROM {schema}.hold h JOIN {schema}.workflow w ON w.id = p.workflow_id
            WHERE (h.kind, h.name) IN (('queue', p.queue), ('workflow', w.name))))), 0), 0)::float8 AS oldest_due,
    (SELECT count(DISTINCT a.run_id) FROM {schema}.attention a) AS attention,
    (SELECT count(*) FROM {schema}.hold) AS holds,
    (SELECT count(*) FROM {schema}.received_event e WHERE e.state = 'parked') AS events_parked,
    (SELECT count(*) FROM {schema}.operation o WHERE o.finished_at IS NULL) AS operations,
    (SELECT count(DISTINCT l.worker_id) FROM {schema}.lane l
     WHERE l.alive AND l.beat > clock_timestamp() - interval '30 seconds') AS workers
