-- What needs attention, grouped by what is the same error; most runs first. Called by store/search/attention.rs.
-- stored: what workers and operators left in `attention`. A fingerprint stands for workflow, step, code and the message
--    without its numbers, so the newest entry can speak for all. It is looked up per group, by index: sorting every group to
--    find it costs more than the counting.
-- overdue: computed. Due for more than a minute, and nobody takes it: no worker, or too few. What is held back on purpose
--    (a hold, or put aside in a queue of our own) is not overdue.
-- key: makes the order total, so that pages follow each other.
WITH stored AS (
    SELECT a.fingerprint, a.kind, a.workflow_id, count(DISTINCT a.run_id) AS runs, min(a.since) AS first_seen,
        max(a.since) AS last_seen
    FROM {schema}.attention a
    WHERE ($2::text IS NULL OR a.kind = $2)
    GROUP BY a.fingerprint, a.kind, a.workflow_id
),
late AS (
    SELECT q.queue, q.workflow_id, count(*) AS runs, min(q.due_at) AS first_seen, max(q.due_at) AS last_seen
    FROM {schema}.ready q
    WHERE coalesce($2, 'overdue') = 'overdue' AND q.lane IS NULL
        AND q.due_at < (SELECT {schema}.now() - interval '1 minute') AND NOT starts_with(q.queue, '@')
    GROUP BY q.queue, q.workflow_id
),
g AS (
    SELECT s.fingerprint, s.kind, s.workflow_id, NULL::text AS queue, s.runs, s.first_seen, s.last_seen,
        s.kind || ':' || to_hex(s.fingerprint) || ':' || coalesce(s.workflow_id, 0) AS key
    FROM stored s
    UNION ALL
    SELECT NULL, 'overdue', l.workflow_id, l.queue, l.runs, l.first_seen, l.last_seen,
        'overdue:' || l.queue || ':' || l.workflow_id
    FROM late l
    WHERE NOT EXISTS (
        SELECT FROM {schema}.hold h LEFT JOIN {schema}.workflow w ON w.id = l.workflow_id
        WHERE (h.kind = 'queue' AND h.name = l.queue) OR (h.kind = 'workflow' AND h.name = w.name))
)
SELECT g.fingerprint, g.kind, w.name AS workflow, g.queue, g.runs, g.first_seen, g.last_seen, g.key, n.step_name,
    coalesce(n.code, o.code) AS code, coalesce(n.message, o.message) AS message, coalesce(n.run_id, o.run_id) AS example
FROM g
LEFT JOIN {schema}.workflow w ON w.id = g.workflow_id
LEFT JOIN LATERAL (
    SELECT a.run_id, a.step_name, a.code, a.message FROM {schema}.attention a
    WHERE a.fingerprint = g.fingerprint AND a.kind = g.kind AND a.workflow_id IS NOT DISTINCT FROM g.workflow_id
    ORDER BY a.run_id DESC LIMIT 1
) n ON true
LEFT JOIN LATERAL (
    SELECT q.run_id, 'overdue' AS code, 'due, and no worker takes it: see the queue ' || g.queue AS message
    FROM {schema}.ready q
    WHERE g.queue IS NOT NULL AND q.queue = g.queue AND q.workflow_id = g.workflow_id AND q.lane IS NULL
    ORDER BY q.due_at LIMIT 1
) o ON true
WHERE ($1::text IS NULL OR w.name = $1)
    AND ($3::bigint IS NULL OR (g.runs, g.key) < ($3, $4::text))
    AND coalesce(n.run_id, o.run_id) IS NOT NULL
ORDER BY g.runs DESC, g.key DESC
LIMIT $5
