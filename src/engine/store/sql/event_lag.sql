-- What each sink lacks. Called by store/outbox/sinks.rs for metrics: read from the tables, so that it is true when nobody relays.
-- u: what has no number yet, counted up to 100,000. n: the event that a sink gets next.
WITH u AS MATERIALIZED (
    SELECT count(*) AS rows, min(at) AS oldest FROM (
        (SELECT e.at FROM {schema}.event e WHERE e.position > (SELECT high FROM {schema}.event_head)
         ORDER BY e.position LIMIT 100000)
        UNION ALL
        (SELECT e.at FROM {schema}.event_gap g, LATERAL (
            SELECT e.at FROM {schema}.event e WHERE e.position BETWEEN g.start AND g.stop ORDER BY e.position LIMIT 100000
         ) e LIMIT 100000)
    ) e
)
SELECT 'feed' AS sink, u.rows AS rows,
    coalesce(greatest(extract(epoch FROM {schema}.now() - u.oldest), 0), 0)::float8 AS seconds
FROM u
UNION ALL
SELECT s.name, greatest(h.last - s.sequence, 0) + u.rows,
    coalesce(greatest(extract(epoch FROM {schema}.now() - least(n.at, u.oldest)), 0), 0)::float8
FROM u, {schema}.event_head h, {schema}.event_sink s LEFT JOIN LATERAL (
    SELECT e.at FROM {schema}.event_range r
    JOIN {schema}.event e ON e.position = r.start + greatest(s.sequence + 1 - r.first, 0)
    WHERE r.last > s.sequence ORDER BY r.last LIMIT 1
) n ON true
ORDER BY sink
