-- How many runs stand where, and how old the oldest due one is. Called by store/gauges.rs, for metrics.
-- It reads only the small tables beside `run`: a scan of `run` would grow with all that has ever happened. So a run
-- that waits for a signal without any limit is in no count here; it needs nobody.
-- p: the oldest due run of each (queue, workflow), by one descent of ready_claim for each pair, however long the backlog is.
WITH RECURSIVE t AS MATERIALIZED (SELECT backstitch.now() AS now),
p AS (
    (SELECT q.queue, q.workflow_id, q.due_at FROM backstitch.ready q
     WHERE q.lane IS NULL ORDER BY q.queue, q.workflow_id, q.due_at LIMIT 1)
    UNION ALL
    SELECT n.queue, n.workflow_id, n.due_at FROM p, LATERAL (
        SELECT q.queue, q.workflow_id, q.due_at FROM backstitch.ready q
        WHERE q.lane IS NULL AND (q.queue, q.workflow_id) > (p.queue, p.workflow_id)
        ORDER BY q.queue, q.workflow_id, q.due_at LIMIT 1
    ) n
),
x AS (
    SELECT count(*) FILTER (WHERE e.status = 2) AS paused, count(*) FILTER (WHERE e.status = 3) AS compensating,
        count(*) FILTER (WHERE e.status = 4) AS stuck
    FROM backstitch.exceptional e WHERE e.status IN (2, 3, 4)
),
q AS (
    SELECT count(*) FILTER (WHERE q.fresh AND q.lane IS NULL) AS pending,
        count(*) FILTER (WHERE NOT (q.fresh AND q.lane IS NULL)) AS running
    FROM backstitch.ready q
    WHERE NOT EXISTS (SELECT FROM backstitch.exceptional e WHERE e.run_id = q.run_id AND e.status IN (2, 3, 4))
)
SELECT q.pending, q.running,
    (SELECT count(*) FROM backstitch.timer w
     WHERE NOT EXISTS (SELECT FROM backstitch.ready r WHERE r.run_id = w.run_id)
       AND NOT EXISTS (SELECT FROM backstitch.exceptional e WHERE e.run_id = w.run_id AND e.status IN (2, 3, 4))) AS waiting,
    x.paused, x.compensating, x.stuck,
    coalesce((SELECT greatest(extract(epoch FROM t.now - min(p.due_at)), 0) FROM p), 0)::float8 AS oldest_due,
    (SELECT count(DISTINCT a.run_id) FROM backstitch.attention a) AS attention,
    (SELECT count(*) FROM backstitch.hold) AS holds,
    (SELECT count(*) FROM backstitch.operation o WHERE o.finished_at IS NULL) AS operations,
    (SELECT count(DISTINCT l.worker_id) FROM backstitch.lane l
     WHERE l.alive AND l.beat > clock_timestamp() - interval '30 seconds') AS workers
FROM t, q, x
