-- Puts a signal into a run's inbox and wakes the run. Called by store/signals.rs.
-- m: locks the run's row and counts the inbox up, against which a park or end at the same moment is checked: either
--    that sees this count, or this sees its status. A signal with a known key changes nothing.
-- s: two with one key at the same moment: the second sees no such key above, waits here, and adds nothing. No error: it
--    would break the caller's transaction.
-- w: a run that is to start later starts then, and finds the signal in its inbox.
--    A run that a worker holds is not in need of waking: its worker looks, or its park is refused.
-- b: one that was put aside for a held activity comes back for it. (What comes while a worker is about to put the run
--    aside, maintenance sees.)
WITH m AS (
    UPDATE {schema}.run SET inbox = inbox + 1
    WHERE id = $1 AND status < 5
      AND NOT EXISTS (SELECT FROM {schema}.signal s WHERE s.run_id = $1 AND s.key = $4)
    RETURNING id, workflow_id, queue, status, wait_kind
),
s AS (
    INSERT INTO {schema}.signal (run_id, name, payload, key, created_at)
    SELECT m.id, $2, $3::json, $4, {schema}.now() FROM m
    ON CONFLICT (run_id, key) WHERE key IS NOT NULL DO NOTHING
),
w AS (
    INSERT INTO {schema}.ready (run_id, due_at, workflow_id, fresh, queue)
    SELECT m.id, {schema}.now(), m.workflow_id, false, m.queue FROM m WHERE m.status = 1 AND m.wait_kind <> 'start'
    ON CONFLICT (run_id) DO NOTHING
),
b AS (
    UPDATE {schema}.ready q SET queue = m.queue, due_at = {schema}.now() FROM m
    WHERE q.run_id = m.id AND q.lane IS NULL AND starts_with(q.queue, '@')
)
SELECT count(*) FROM m
