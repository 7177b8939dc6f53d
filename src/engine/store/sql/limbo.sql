-- The runs in limbo: not ended, and neither due, nor held by a live lane, nor waiting for something named that can still
-- come. There should be none, ever. Called by engine/limbo.rs for tests, `doctor` and the metric.
-- A wait without an end has a row in `timer` whose time never comes, so that waiting runs are found by that table; such a
-- row promises nothing.
-- A lane that is alive by its row but silent counts as live: takeover sweeps it. A dead one must hold nothing.
-- It reads every run that has not ended; no index on `run` names a status, so that ending a run stays cheap.
SELECT f.id, f.status, f.why
FROM (
    SELECT r.id, r.status, CASE
        WHEN q.lane IS NULL AND starts_with(q.queue, '@') AND q.due_at < {schema}.now() - interval '1 minute'
            AND NOT EXISTS (SELECT FROM {schema}.hold h WHERE h.kind = 'activity' AND '@activity/' || h.name = q.queue)
            THEN 'it was put aside for a held activity, which is held no more: does any process run maintenance?'
        WHEN q.run_id IS NOT NULL AND q.lane IS NULL THEN NULL
        WHEN l.alive THEN NULL
        WHEN q.lane IS NOT NULL THEN 'it is held by a lane that is dead'
        WHEN r.status IN (2, 4) AND t.run_id IS NOT NULL THEN 'it stands still, and yet a timer would wake it'
        WHEN r.status = 4 AND r.failure IS NULL THEN 'it is stuck, and nothing says why'
        WHEN r.status = 2 AND p.run_id IS NULL THEN 'it is paused, and nothing says since when'
        WHEN r.status IN (2, 4) THEN NULL
        WHEN p.run_id IS NOT NULL AND r.request <> 3 THEN 'a pause of it is on record without a request'
        WHEN r.wait_kind IS NULL THEN 'it is neither due nor held, and names nothing that it waits for'
        WHEN r.status = 1 AND EXISTS (
            SELECT FROM {schema}.signal s JOIN {schema}.step w ON w.run_id = r.id AND w.kind = 2 AND w.name = s.name
            WHERE s.run_id = r.id AND s.consumed_by IS NULL AND w.outcome IS NULL)
            THEN 'a signal that it waits for is in its inbox, and nobody woke it'
        WHEN r.request <> 0 THEN 'it has a request, and nobody woke it'
        WHEN t.run_id IS NOT NULL AND EXISTS (
            SELECT FROM {schema}.step w WHERE w.run_id = r.id AND w.outcome IS NULL
                AND w.direction = CASE r.status WHEN 3 THEN 1 ELSE 0 END
                AND least(w.due_at, w.next_attempt_at) < t.due_at - interval '5 seconds')
            THEN 'its timer is set later than what it waits for'
        WHEN isfinite(t.due_at) THEN NULL
        WHEN r.wait_kind = 'signal' AND EXISTS (
            SELECT FROM {schema}.step w
            WHERE w.run_id = r.id AND w.kind = 2 AND w.name = r.wait_name AND w.outcome IS NULL AND w.due_at IS NULL)
            THEN NULL
        ELSE 'what it waits for, ' || r.wait_kind || ' ' || coalesce(r.wait_name, '') || ', can not come: no timer of it ever fires'
        END AS why
    FROM {schema}.run r
    LEFT JOIN {schema}.ready q ON q.run_id = r.id
    LEFT JOIN {schema}.lane l ON l.id = q.lane
    LEFT JOIN {schema}.timer t ON t.run_id = r.id
    LEFT JOIN {schema}.paused p ON p.run_id = r.id
    WHERE r.status < 5
) f
WHERE f.why IS NOT NULL
ORDER BY f.id
LIMIT $1
