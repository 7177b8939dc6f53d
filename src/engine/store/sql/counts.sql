-- How many runs have each status, from the tables whose rows mean it, each counted up to $1. Called by
-- store/search/fleet.rs. `completed` is what is left of the planner's idea of all runs: there is no other way to have it
-- without reading or counting every run.
-- x: one index range per status; a plain GROUP BY would read them all.
WITH x AS (
    SELECT s.status, (SELECT count(*) FROM (
        SELECT FROM {schema}.unhealthy e WHERE e.status = s.status LIMIT $1) c) AS runs
    FROM unnest(ARRAY[2, 3, 4, 6, 7, 8]::smallint[]) s(status)
)
SELECT
    (SELECT count(*) FROM (SELECT FROM {schema}.ready q WHERE q.fresh AND q.lane IS NULL LIMIT $1) c) AS pending,
    (SELECT count(*) FROM (SELECT FROM {schema}.ready q WHERE NOT (q.fresh AND q.lane IS NULL)
        AND NOT EXISTS (SELECT FROM {schema}.unhealthy e WHERE e.run_id = q.run_id) LIMIT $1) c) AS running,
    (SELECT count(*) FROM (SELECT FROM {schema}.timer t
        WHERE NOT EXISTS (SELECT FROM {schema}.ready q WHERE q.run_id = t.run_id)
          AND NOT EXISTS (SELECT FROM {schema}.unhealthy e WHERE e.run_id = t.run_id) LIMIT $1) c) AS waiting,
    (SELECT runs FROM x WHERE status = 2) AS paused,
    (SELECT runs FROM x WHERE status = 3) AS compensating,
    (SELECT runs FROM x WHERE status = 4) AS stuck,
    (SELECT runs FROM x WHERE status = 6) AS compensated,
    (SELECT runs FROM x WHERE status = 7) AS failed,
    (SELECT runs FROM x WHERE status = 8) AS abandoned,
    (SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{schema}.run'::regclass) AS all_runs
