-- Runs as people see them, newest first: those whose ids are in `page`, which comes before this, in a WITH. Called by
-- store/reads.rs for one run, and with what store/search makes of a filter.
-- Pending and running are derived from `ready`, which is why the hot path never writes them. What nobody holds waits for a
-- worker: `served` says whether one is alive that would take it. The last worker's lanes stay alive by their rows, with
-- nobody left to take over: so they also must have been heard of lately, those that hold a run as well. `hold`: what keeps it
-- from being taken.
SELECT r.id, w.name AS workflow, w.version, w.secret_fields, r.key, r.queue, r.input::text AS input,
    r.output::text AS output, r.failure::text AS failure, r.tags::text AS tags, r.created_at, r.started_at, r.finished_at,
    r.parent_id, r.traceparent,
    r.status, r.wait_kind, r.wait_name, r.wait_since, r.wait_until,
    q.run_id IS NOT NULL AS due, q.lane IS NOT NULL AS held, q.fresh, q.queue AS due_queue, q.due_at,
    coalesce((SELECT p.at FROM {schema}.paused p WHERE r.status = 2 AND p.run_id = r.id),
        (SELECT x.since FROM {schema}.unhealthy x WHERE r.status IN (2, 4) AND x.run_id = r.id),
        (SELECT min(a.since) FROM {schema}.attention a WHERE r.status IN (2, 4) AND a.run_id = r.id)) AS stands_since,
    CASE WHEN q.lane IS NULL THEN (
        SELECT json_build_object('name', h.name, 'since', h.since)::text FROM {schema}.hold h
        WHERE (h.kind, h.name) IN (('workflow', w.name), ('queue', q.queue))
            OR (h.kind = 'activity' AND '@activity/' || h.name = q.queue)
        ORDER BY h.since LIMIT 1) END AS hold,
    q.run_id IS NULL OR EXISTS (
        SELECT FROM {schema}.lane l
        WHERE l.id = q.lane AND l.alive AND l.beat > clock_timestamp() - interval '30 seconds')
    OR EXISTS (
        SELECT FROM {schema}.worker k JOIN {schema}.lane l ON l.worker_id = k.id
            AND l.alive AND l.beat > clock_timestamp() - interval '30 seconds'
        WHERE r.workflow_id = ANY (k.workflows) AND q.queue = ANY (k.queues)) AS served,
    EXISTS (
        SELECT FROM {schema}.worker k JOIN {schema}.lane l ON l.worker_id = k.id
            AND l.alive AND l.beat > clock_timestamp() - interval '30 seconds'
        WHERE r.workflow_id = ANY (k.workflows)) AS known
FROM page
JOIN {schema}.run r ON r.id = page.id
JOIN {schema}.workflow w ON w.id = r.workflow_id
LEFT JOIN {schema}.ready q ON q.run_id = r.id
ORDER BY r.id DESC
