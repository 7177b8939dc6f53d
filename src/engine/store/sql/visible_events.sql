-- The positions of events without a number, $2 at most of each kind, and the gaps that they may stand in. Called by store/outbox
-- after lock_event_head.sql: one snapshot, younger than the lock, so that what it does not show is open, rolled back or later.
-- late: a look into the index for each gap. LATERAL with its own LIMIT: as a join, all events are compared with all gaps.
WITH late AS MATERIALIZED (
    SELECT e.position FROM {schema}.event_gap g, LATERAL (
        SELECT e.position FROM {schema}.event e WHERE e.position BETWEEN g.start AND g.stop ORDER BY e.position LIMIT $2
    ) e
    ORDER BY e.position LIMIT $2
),
fresh AS MATERIALIZED (
    SELECT position FROM {schema}.event WHERE position > $1 ORDER BY position LIMIT $2
)
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS not_begun,
    ARRAY(SELECT position FROM late ORDER BY 1) AS late,
    ARRAY(SELECT position FROM fresh ORDER BY 1) AS fresh,
    ARRAY(SELECT start FROM {schema}.event_gap ORDER BY start) AS starts,
    ARRAY(SELECT stop FROM {schema}.event_gap ORDER BY start) AS stops,
    ARRAY(SELECT until FROM {schema}.event_gap ORDER BY start) AS untils
