-- Forgets the oldest events that are older than $1 seconds and that every sink has got, a few ranges at a time. Called by
-- store/outbox. One statement: a range without its events would be read as events that were never there.
WITH r AS (
    SELECT r.last, r.start, r.start + (r.last - r.first) AS stop FROM {schema}.event_range r
    WHERE r.last <= coalesce((SELECT min(sequence) FROM {schema}.event_sink), r.last)
    ORDER BY r.last LIMIT 20
),
old AS (
    SELECT r.* FROM r WHERE NOT EXISTS (
        SELECT FROM {schema}.event e
        WHERE e.position BETWEEN r.start AND r.stop AND e.at >= {schema}.now() - make_interval(secs => $1))
),
e AS (DELETE FROM {schema}.event e USING old WHERE e.position BETWEEN old.start AND old.stop),
gone AS (DELETE FROM {schema}.event_range r USING old WHERE r.last = old.last RETURNING r.last)
SELECT count(*) FROM gone
