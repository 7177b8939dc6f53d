-- Claims due runs for a lane. Called by store/claim.rs, on the lane's own connection.
-- f: the fence. The lane's row is updated, not read or share-locked: an unfenced claim can land on a lane that takeover
--    has just marked dead, and orphan its runs (tried). Takeover and claim each see the other's new row after waiting.
-- t: the database's time; and this commit need not wait for the disk: a claim that a crash of Postgres forgets is simply
--    due again, and any later outcome flushes the log past it. Local to this statement's transaction.
-- c: `ctid = ANY(ARRAY(..))` is evaluated once; `IN (SELECT .. LIMIT)` may be run again per row and take too many.
--    One index range per (queue, workflow), read lazily: later pairs are not touched once the limit is reached, so the
--    caller changes their order from claim to claim.
-- Holds: what is held when the statement begins is left out. Neither array depends on a row, so each is made once in a
--    claim, from a table that is empty most of the time (docs/decisions/0017).
-- The runs of what was claimed are looked up by `= ANY (ARRAY[..])`, as in flush.sql, whose header says why.
WITH f AS (
    UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND token = $5 AND alive RETURNING id
),
t AS MATERIALIZED (
    SELECT f.id, {schema}.now() AS now, set_config('synchronous_commit', 'off', true) FROM f
),
c AS (
    UPDATE {schema}.ready q SET lane = t.id FROM t
    WHERE q.ctid = ANY (ARRAY(
        SELECT d.ctid
        FROM t AS due, unnest($2::text[], $3::int[]) AS k(queue, workflow_id),
        LATERAL (
            SELECT r.ctid FROM {schema}.ready r
            WHERE r.lane IS NULL AND r.queue = k.queue AND r.workflow_id = k.workflow_id AND r.due_at <= due.now
            ORDER BY r.due_at LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED
        ) d
        WHERE k.queue <> ALL (ARRAY(SELECT h.name FROM {schema}.hold h WHERE h.kind = 'queue'))
          AND k.workflow_id <> ALL (ARRAY(
            SELECT w.id FROM {schema}.hold h JOIN {schema}.workflow w ON w.name = h.name WHERE h.kind = 'workflow'))
        LIMIT $4
    ))
    RETURNING q.run_id, q.takeovers, q.fresh, q.due_at, t.now
)
SELECT c.run_id, c.takeovers, c.fresh, c.due_at, c.now, r.workflow_id, r.queue, r.created_at, r.started_at, r.deadline_at,
    r.status, r.request, r.inbox, r.input::text AS input, r.failure::text AS failure, r.traceparent
FROM c JOIN {schema}.run r ON r.id = ANY (ARRAY[c.run_id])
