-- Puts signals into runs' inboxes, at most one into each, and wakes the runs. Called by store/signals.rs.
-- u: in the order of the runs, which is that in which a flush locks them.
-- k: runs that have seen their signal's key: nothing changes for them. LATERAL: one look into the index for each.
-- m: locks the runs' rows and counts the inboxes up, against which a park or end at the same moment is checked: either
--    that sees this count, or this sees its status. `l` locks them in order; an array, so that each is found by its key.
-- s: two with one key at the same moment: the second sees no such key above, waits here, and adds nothing. No error: it
--    would break the caller's transaction.
-- w: a run that is to start later starts then, and finds the signal in its inbox.
--    A run that a worker holds is not in need of waking: its worker looks, or its park is refused.
-- b: one that was put aside for a held activity comes back for it. (What comes while a worker is about to put the run
--    aside, maintenance sees.)
WITH t AS MATERIALIZED (SELECT {schema}.now() AS now),
u AS MATERIALIZED (
    SELECT u.* FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) u(run_id, name, payload, key)
),
k AS MATERIALIZED (
    SELECT u.run_id FROM u,
        LATERAL (SELECT FROM {schema}.signal s WHERE s.run_id = u.run_id AND s.key = u.key LIMIT 1) s
),
l AS MATERIALIZED (
    SELECT r.id FROM {schema}.run r WHERE r.id = ANY ($1::uuid[]) AND r.id NOT IN (SELECT k.run_id FROM k)
    ORDER BY r.id FOR NO KEY UPDATE
),
m AS (
    UPDATE {schema}.run r SET inbox = r.inbox + 1 WHERE r.id = ANY (ARRAY(SELECT l.id FROM l)) AND r.status < 5
    RETURNING r.id, r.workflow_id, r.queue, r.status, r.wait_kind
),
s AS (
    INSERT INTO {schema}.signal (run_id, name, payload, key, created_at)
    SELECT m.id, u.name, u.payload::json, u.key, t.now FROM t, m JOIN u ON u.run_id = m.id
    ON CONFLICT (run_id, key) WHERE key IS NOT NULL DO NOTHING
),
w AS (
    INSERT INTO {schema}.ready (run_id, due_at, workflow_id, fresh, queue)
    SELECT m.id, t.now, m.workflow_id, false, m.queue FROM t, m WHERE m.status = 1 AND m.wait_kind <> 'start'
    ON CONFLICT (run_id) DO NOTHING
),
b AS (
    UPDATE {schema}.ready q SET queue = m.queue, due_at = t.now FROM t, m
    WHERE q.run_id = m.id AND q.lane IS NULL AND starts_with(q.queue, '@')
)
SELECT m.id FROM m
