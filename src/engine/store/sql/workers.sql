-- Workers with their lanes, and how many runs each lane holds. Called by store/search/fleet.rs.
-- A worker that nobody has heard of for a day is left out: its rows stay until retention takes them.
WITH held AS (
    SELECT q.lane, count(*) AS runs FROM {schema}.ready q WHERE q.lane IS NOT NULL GROUP BY q.lane
),
l AS (
    SELECT l.worker_id, max(l.beat) AS last_beat,
        bool_or(l.alive AND l.beat > clock_timestamp() - $2::text::interval) AS alive,
        array_agg(l.id ORDER BY l.id) AS lane_ids, array_agg(l.alive ORDER BY l.id) AS lane_alive,
        array_agg(l.beat ORDER BY l.id) AS lane_beats, array_agg(coalesce(h.runs, 0) ORDER BY l.id) AS lane_active_runs
    FROM {schema}.lane l LEFT JOIN held h ON h.lane = l.id
    WHERE l.beat > clock_timestamp() - interval '1 day'
    GROUP BY l.worker_id
)
SELECT k.id, k.name, k.queues, k.slots, k.started_at, l.*,
    ARRAY(SELECT w.name || ' v' || w.version FROM {schema}.workflow w WHERE w.id = ANY (k.workflows)
        ORDER BY w.name, w.version) AS workflows
FROM l JOIN {schema}.worker k ON k.id = l.worker_id
ORDER BY l.alive DESC, k.id DESC
LIMIT $1
