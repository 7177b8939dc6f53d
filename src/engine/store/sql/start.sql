-- Starts runs, many in one commit. Called by store/start.rs.
-- With a key, run_key decides: the first to insert it wins, and only the winners' runs are made. ON CONFLICT DO NOTHING
-- waits for a concurrent insert of the same key, so a loser that looks afterwards (start_losers) finds the winner.
-- Keys are taken in one order, so that two batches with the same ones can't deadlock.
-- unnest() in a select list is faster than in FROM, as in flush.sql.
-- A start in the future is parked at once: a row in `timer`, none in `ready`.
WITH t AS MATERIALIZED (SELECT {schema}.now() AS now),
u AS MATERIALIZED (
    SELECT unnest($1::uuid[]) AS id, unnest($2::int[]) AS workflow_id, unnest($3::text[]) AS workflow, unnest($4::text[]) AS queue,
        unnest($5::text[]) AS input, unnest($6::text[]) AS key, unnest($7::bytea[]) AS hash, unnest($8::timestamptz[]) AS start_at,
        unnest($9::text[]) AS tags, unnest($10::uuid[]) AS parent_id, unnest($11::bigint[]) AS deadline_ms,
        unnest($12::text[]) AS traceparent
),
k AS (
    INSERT INTO {schema}.run_key (workflow, key, run_id, hash)
    SELECT u.workflow, u.key, u.id, u.hash FROM u WHERE u.key IS NOT NULL
    ORDER BY u.workflow, u.key
    ON CONFLICT DO NOTHING RETURNING run_id
),
n AS MATERIALIZED (
    SELECT u.*, t.now, u.start_at > t.now AS later FROM u, t
    WHERE u.key IS NULL OR u.id IN (SELECT run_id FROM k)
),
r AS (
    INSERT INTO {schema}.run (id, created_at, workflow_id, queue, key, input, tags, parent_id, deadline_at,
        status, wait_kind, wait_since, wait_until, traceparent)
    SELECT n.id, n.now, n.workflow_id, n.queue, n.key, n.input::json, n.tags::jsonb, n.parent_id,
        n.now + n.deadline_ms * interval '1 ms',
        CASE WHEN n.later THEN 1 ELSE 0 END, CASE WHEN n.later THEN 'start' END,
        CASE WHEN n.later THEN n.now END, CASE WHEN n.later THEN n.start_at END, n.traceparent
    FROM n
),
q AS (
    INSERT INTO {schema}.ready (run_id, due_at, workflow_id, fresh, queue)
    SELECT n.id, n.now, n.workflow_id, true, n.queue FROM n WHERE n.later IS NOT TRUE
),
w AS (
    INSERT INTO {schema}.timer (run_id, due_at) SELECT n.id, n.start_at FROM n WHERE n.later
)
SELECT n.id, n.now FROM n
