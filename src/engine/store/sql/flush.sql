-- Records steps and what becomes of runs: one statement, one commit, hundreds of runs. Called by store/flush, which leaves the
-- parts out that a flush has no rows for (store/parts.rs): each costs time even when it is empty.
-- Rows come as arrays, one per column. unnest() stands in a select list: in FROM, several arrays are copied to tables first, which
-- takes more than twice as long.
-- Rows are found by `= ANY (..)`, also where one is compared with one: Postgres can look those up in the index and nothing else. An
-- equality of columns it may also turn into a join with the whole table, which is cheap in a plan that was made when the table was
-- empty; and that plan stays. A list of all keys in place of ARRAY[u.id] would be joined with all of u, row by row.
-- f: the fence: where the lane has been declared dead nothing below writes anything, since everything joins on its row.
--    lane: that of a lane's own connection, heartbeat and lease in one. NO KEY UPDATE by its kind: it excludes claims, flushes and
--    takeovers of this lane, and not the transactions of its steps.
--    step: that of the transactions of a lane's steps. Shared: it excludes only what declares the lane dead, which locks the row
--    FOR UPDATE. One that has waited for that finds it dead and writes nothing. It is no heartbeat: the lane's own connection
--    has to prove itself.
-- h: the runs that this lane holds. A step's own transaction locks their rows, for its commit may outlive its client: nobody
--    gives such a run to another worker before it is over.
-- p: runs that pass their pivot, locked: a cancel at the same moment is either seen here or finds the pivot on record.
-- g: the gate that everything below joins on. One run that is another's by now, or a cancelled one at its pivot, closes it: then
--    nothing is written, and the caller sends the others again. That is rare, and spares each row a look into h.
-- s: steps that end ok with their first row: the hot case.
-- n: all other new rows (intents, undos, failures). Plain inserts, because ON CONFLICT costs one more log record for each row.
-- o: changes of rows that are certainly there. An outcome on record never changes (unknown may be resolved). The log of attempts
--    keeps the first and the latest ones; json[], because jsonb refuses what json takes (a NUL in a gateway's message).
-- x: the same as one JSON text, for rows that may or may not have landed before a lost connection; writing the same again is
--    harmless.
-- r: the plan is what a cancel or compensate asked for; a pause (3) is still to come after it, unless the run ends or stands still.
--    A run that is let go of must have seen the latest inbox counter, on the row that this updates: NOT EXISTS (a
--    signal) would miss one that commits while this waits for the row (tried). In the order of the ids.
-- td: every parked run has a timer; a wait without an end is due at 'infinity'.
-- cp: one plan per run: a second one breaks the key, and with it this flush. The same again is the same flush, sent again.
-- l: a stale wake-up, locked, so that a request at the same moment is either seen here or finds no row in `ready`, and makes one.
-- The columns of `ready` tell a run's workflow: its own row is not read for that.
-- paused: runs whose pause was accepted before this statement began: nothing more of them may begin. `paused` is empty most
--    of the time: `run.request` would be a read of a row that most flushes leave alone. Where r has written that row it knows
--    better: a pause that it had to wait for has committed since this statement began.
-- Locks, in order: lane, run, ready; of a step: run, lane, ready; then the small tables.
WITH f AS MATERIALIZED (
-- part lane
    UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $lane AND token = $token AND alive
    RETURNING id, {schema}.now() AS now, beat
-- end
-- part step
    SELECT id, {schema}.now() AS now, beat FROM {schema}.lane WHERE id = $lane AND token = $token AND alive FOR KEY SHARE
-- end
),
h AS MATERIALIZED (
    SELECT q.run_id FROM f, {schema}.ready q WHERE q.run_id = ANY ($runs::uuid[]) AND q.lane = f.id
-- part step
    FOR SHARE OF q
-- end
),
-- part pivots
p AS MATERIALIZED (
    SELECT r.id, r.request FROM f, {schema}.run r WHERE r.id = ANY ($p_run::uuid[]) ORDER BY r.id FOR NO KEY UPDATE OF r
),
-- end
g AS MATERIALIZED (
    SELECT f.id, f.now FROM f WHERE (SELECT count(*) FROM h) = cardinality($runs::uuid[])
-- part pivots
    AND NOT EXISTS (SELECT FROM p WHERE p.request = 1)
-- end
)
-- part ended
, s AS (
    INSERT INTO {schema}.step (run_id, seq, kind, name, ord, issued_after, outcome, attempts, undoable, input, output, lane,
        started_at, finished_at, direction, generation)
    SELECT u.run_id, u.seq, u.kind, u.name, u.ord, u.issued_after, 1, u.attempts, u.undoable, u.input::json, u.output::json,
        g.id, g.now - u.took * interval '1 microsecond', g.now, 0, 0
    FROM g, (SELECT unnest($s_run::uuid[]) AS run_id, unnest($s_seq::int[]) AS seq, unnest($s_kind::smallint[]) AS kind,
        unnest($s_name::text[]) AS name, unnest($s_ord::int[]) AS ord, unnest($s_issued_after::int[]) AS issued_after,
        unnest($s_attempts::smallint[]) AS attempts, unnest($s_undoable::boolean[]) AS undoable,
        unnest($s_input::text[]) AS input, unnest($s_output::text[]) AS output, unnest($s_took::bigint[]) AS took) u
)
-- end
-- part new
, n AS (
    INSERT INTO {schema}.step (run_id, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation, undoable,
        input, output, error, details, due_at, next_attempt_at, undo_after, attempt_log, lane, started_at, finished_at)
    SELECT u.run_id, u.seq, u.direction, u.kind, u.name, u.ord, u.issued_after, u.outcome, u.attempts, u.generation, u.undoable,
        u.input::json, u.output::json, u.error::json, u.details::json,
        coalesce(u.due_at, g.now + u.due_in * interval '1 microsecond'), u.next_attempt_at, u.undo_after::int[],
        u.log::json[], g.id, g.now - u.took * interval '1 microsecond', CASE WHEN u.outcome IS NOT NULL THEN g.now END
    FROM g, (SELECT unnest($n_run::uuid[]) AS run_id, unnest($n_seq::int[]) AS seq, unnest($n_direction::smallint[]) AS direction,
        unnest($n_kind::smallint[]) AS kind, unnest($n_name::text[]) AS name, unnest($n_ord::int[]) AS ord,
        unnest($n_issued_after::int[]) AS issued_after, unnest($n_outcome::smallint[]) AS outcome,
        unnest($n_attempts::smallint[]) AS attempts, unnest($n_generation::smallint[]) AS generation,
        unnest($n_undoable::boolean[]) AS undoable, unnest($n_input::text[]) AS input, unnest($n_output::text[]) AS output,
        unnest($n_error::text[]) AS error, unnest($n_details::text[]) AS details, unnest($n_due_at::timestamptz[]) AS due_at,
        unnest($n_due_in::bigint[]) AS due_in, unnest($n_next_attempt_at::timestamptz[]) AS next_attempt_at,
        unnest($n_undo_after::text[]) AS undo_after, unnest($n_log::text[]) AS log, unnest($n_took::bigint[]) AS took) u
)
-- end
-- part changed
, o AS (
    UPDATE {schema}.step SET
        ord = u.ord, outcome = u.outcome, attempts = u.attempts, generation = u.generation,
        output = u.output::json, error = u.error::json, details = u.details::json,
        next_attempt_at = u.next_attempt_at, lane = g.id,
        started_at = CASE WHEN step.attempts = u.attempts THEN step.started_at
            ELSE g.now - u.took * interval '1 microsecond' END,
        attempt_log = CASE
            WHEN u.log IS NULL OR step.attempt_log::text[] @> (u.log::json[])::text[] THEN step.attempt_log
            WHEN cardinality(step.attempt_log) >= 10 THEN step.attempt_log[:1] || step.attempt_log[3:] || u.log::json[]
            ELSE step.attempt_log || u.log::json[] END,
        finished_at = coalesce(step.finished_at, CASE WHEN u.outcome IS NOT NULL THEN g.now END)
    FROM g, (SELECT unnest($o_run::uuid[]) AS run_id, unnest($o_seq::int[]) AS seq, unnest($o_direction::smallint[]) AS direction,
        unnest($o_ord::int[]) AS ord, unnest($o_outcome::smallint[]) AS outcome, unnest($o_attempts::smallint[]) AS attempts,
        unnest($o_generation::smallint[]) AS generation, unnest($o_output::text[]) AS output, unnest($o_error::text[]) AS error,
        unnest($o_details::text[]) AS details, unnest($o_next_attempt_at::timestamptz[]) AS next_attempt_at,
        unnest($o_log::text[]) AS log, unnest($o_took::bigint[]) AS took) u
    WHERE step.run_id = ANY (ARRAY[u.run_id]) AND step.seq = u.seq AND step.direction = u.direction
      AND (step.outcome IS NULL OR step.outcome = 3 OR step.outcome = u.outcome)
)
-- end
-- part uncertain
, x AS (
    INSERT INTO {schema}.step (run_id, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation, undoable,
        input, output, error, details, due_at, next_attempt_at, undo_after, attempt_log, lane, started_at, finished_at)
    SELECT u.run_id, u.seq, u.direction, u.kind, u.name, u.ord, u.issued_after, u.outcome, u.attempts, u.generation, u.undoable,
        u.input::json, u.output::json, u.error::json, u.details::json, coalesce(u.due_at, g.now + u.due_in * interval '1 microsecond'),
        u.next_attempt_at, u.undo_after, u.attempt_log::json[], g.id,
        g.now - u.took * interval '1 microsecond', CASE WHEN u.outcome IS NOT NULL THEN g.now END
    FROM g, json_to_recordset($x_steps::json)
        u(run_id uuid, seq int, direction smallint, kind smallint, name text, ord int, issued_after int, outcome smallint,
            attempts smallint, generation smallint, undoable boolean, input text, output text, error text, details text,
            due_at timestamptz, due_in bigint, next_attempt_at timestamptz, undo_after int[], attempt_log text[], took bigint)
    ON CONFLICT (run_id, seq, direction) DO UPDATE SET
        ord = excluded.ord, outcome = excluded.outcome, attempts = excluded.attempts, generation = excluded.generation,
        output = excluded.output, error = excluded.error, details = excluded.details,
        next_attempt_at = excluded.next_attempt_at, lane = excluded.lane,
        started_at = CASE WHEN step.attempts = excluded.attempts THEN step.started_at ELSE excluded.started_at END,
        attempt_log = CASE
            WHEN excluded.attempt_log IS NULL OR step.attempt_log::text[] @> excluded.attempt_log::text[] THEN step.attempt_log
            WHEN cardinality(step.attempt_log) >= 10 THEN step.attempt_log[:1] || step.attempt_log[3:] || excluded.attempt_log
            ELSE step.attempt_log || excluded.attempt_log END,
        finished_at = coalesce(step.finished_at, excluded.finished_at)
    WHERE step.outcome IS NULL OR step.outcome = 3 OR step.outcome = excluded.outcome
)
-- end
-- part runs
, r AS (
    UPDATE {schema}.run SET
        status = u.status, output = u.output::json, failure = u.failure::json,
        request = CASE WHEN u.status = 3 AND run.request <> 3 OR u.unpaused AND run.request = 3 THEN 0 ELSE run.request END,
        wait_kind = u.wait_kind, wait_name = u.wait_name,
        wait_since = CASE WHEN u.wait_kind IS NOT NULL THEN g.now END,
        wait_until = coalesce(u.wake_at, g.now + u.wake_in * interval '1 microsecond'),
        started_at = coalesce(run.started_at, u.claimed_at),
        finished_at = CASE WHEN u.status >= 5 THEN g.now END
    FROM g, (SELECT unnest($r_id::uuid[]) AS id, unnest($r_status::smallint[]) AS status, unnest($r_output::text[]) AS output,
        unnest($r_failure::text[]) AS failure, unnest($r_wait_kind::text[]) AS wait_kind,
        unnest($r_wait_name::text[]) AS wait_name, unnest($r_wake_at::timestamptz[]) AS wake_at,
        unnest($r_wake_in::bigint[]) AS wake_in, unnest($r_seen::int[]) AS seen,
        unnest($r_claimed_at::timestamptz[]) AS claimed_at, unnest($r_unpaused::boolean[]) AS unpaused) u
    WHERE run.id = ANY (ARRAY[u.id]) AND (u.seen IS NULL OR run.inbox = u.seen)
    RETURNING run.id, u.seen, run.request, run.wait_kind, run.wait_until
),
d AS (
    DELETE FROM {schema}.ready q WHERE q.run_id = ANY (ARRAY(SELECT r.id FROM r WHERE r.seen IS NOT NULL))
)
-- end
-- part waits
, ti AS (
    INSERT INTO {schema}.timer (run_id, due_at)
    SELECT r.id, coalesce(r.wait_until, 'infinity') FROM r WHERE r.seen IS NOT NULL AND r.wait_kind IS NOT NULL
    ON CONFLICT (run_id) DO UPDATE SET due_at = excluded.due_at
),
td AS (
    DELETE FROM {schema}.timer t
    WHERE t.run_id = ANY (ARRAY(SELECT r.id FROM r WHERE r.seen IS NOT NULL AND r.wait_kind IS NULL))
),
c AS (
    UPDATE {schema}.signal m SET consumed_by = u.seq
    FROM g, (SELECT unnest($c_run::uuid[]) AS run_id, unnest($c_id::bigint[]) AS id, unnest($c_seq::int[]) AS seq) u
    WHERE m.run_id = ANY (ARRAY[u.run_id]) AND m.id = u.id
)
-- end
-- part trouble
, cp AS (
    INSERT INTO {schema}.compensation (run_id, cause, planned_at)
    SELECT u.run_id, u.cause::json, g.now
    FROM g, (SELECT unnest($cp_run::uuid[]) AS run_id, unnest($cp_cause::text[]) AS cause) u
    WHERE NOT EXISTS (SELECT FROM {schema}.compensation k WHERE k.run_id = ANY (ARRAY[u.run_id]) AND k.cause::text = u.cause)
),
ad AS (
    DELETE FROM {schema}.attention a
    USING g, (SELECT unnest($ad_run::uuid[]) AS run_id, unnest($ad_seq::int[]) AS seq) u
    WHERE a.run_id = ANY (ARRAY[u.run_id]) AND a.seq = u.seq
),
ai AS (
    INSERT INTO {schema}.attention (run_id, seq, kind, code, message, fingerprint, step_name, workflow_id, since)
    SELECT u.run_id, u.seq, u.kind, u.code, u.message, u.fingerprint, u.step_name, q.workflow_id, g.now
    FROM g, (SELECT unnest($ai_run::uuid[]) AS run_id, unnest($ai_seq::int[]) AS seq, unnest($ai_kind::text[]) AS kind,
        unnest($ai_code::text[]) AS code, unnest($ai_message::text[]) AS message,
        unnest($ai_fingerprint::bigint[]) AS fingerprint, unnest($ai_step_name::text[]) AS step_name) u,
        {schema}.ready q
    WHERE q.run_id = ANY (ARRAY[u.run_id])
    ON CONFLICT (run_id, seq) DO UPDATE SET kind = excluded.kind, code = excluded.code,
        message = excluded.message, fingerprint = excluded.fingerprint, step_name = excluded.step_name
),
ui AS (
    INSERT INTO {schema}.unhealthy (run_id, status, workflow_id, code, step_name, since)
    SELECT u.run_id, u.status, q.workflow_id, u.code, coalesce(u.step_name,
        (SELECT b.name FROM {schema}.step b WHERE b.run_id = ANY (ARRAY[u.run_id]) AND b.seq = u.seq AND b.direction = 0)), g.now
    FROM g, (SELECT unnest($ui_run::uuid[]) AS run_id, unnest($ui_status::smallint[]) AS status,
        unnest($ui_code::text[]) AS code, unnest($ui_seq::int[]) AS seq, unnest($ui_step_name::text[]) AS step_name) u,
        r, {schema}.ready q
    WHERE r.id = u.run_id AND q.run_id = ANY (ARRAY[u.run_id])
    ON CONFLICT (run_id) DO UPDATE SET status = excluded.status, code = excluded.code, step_name = excluded.step_name,
        since = CASE WHEN unhealthy.status = excluded.status THEN unhealthy.since ELSE excluded.since END
),
pd AS (
    DELETE FROM {schema}.paused t
    WHERE t.run_id = ANY (ARRAY(SELECT r.id FROM r WHERE r.seen IS NOT NULL AND r.id = ANY ($pd_run::uuid[])))
),
qp AS (
    UPDATE {schema}.ready q SET takeovers = 0 FROM g, (SELECT unnest($qp_run::uuid[]) AS run_id) u
    WHERE q.run_id = ANY (ARRAY[u.run_id]) AND q.lane = g.id AND NOT EXISTS (SELECT FROM r WHERE r.id = u.run_id AND r.seen IS NOT NULL)
),
qh AS (
    UPDATE {schema}.ready q SET lane = NULL, fresh = false, queue = u.queue, due_at = g.now,
        takeovers = CASE WHEN u.progress THEN 0 ELSE q.takeovers END
    FROM g, (SELECT unnest($qh_run::uuid[]) AS run_id, unnest($qh_queue::text[]) AS queue,
        unnest($qh_progress::boolean[]) AS progress) u
    WHERE q.run_id = ANY (ARRAY[u.run_id]) AND q.lane = g.id
),
l AS (
    SELECT r.id FROM g, (SELECT unnest($l_run::uuid[]) AS id, unnest($l_seen::int[]) AS seen) u, {schema}.run r
    WHERE r.id = ANY (ARRAY[u.id]) AND r.inbox = u.seen FOR UPDATE OF r
),
ql AS (
    DELETE FROM {schema}.ready q USING g
    WHERE q.run_id = ANY (ARRAY(SELECT l.id FROM l)) AND q.lane = g.id RETURNING q.run_id
)
-- end
SELECT f.now, f.beat,
    ARRAY(SELECT p.run_id FROM {schema}.paused p
        WHERE EXISTS (SELECT FROM {schema}.paused) AND p.run_id = ANY ($runs::uuid[])
-- part runs
        UNION ALL SELECT r.id FROM r WHERE r.request = 3
-- end
    ) AS paused,
    ARRAY(SELECT u.id FROM unnest($runs::uuid[]) u(id)
        WHERE NOT EXISTS (SELECT FROM g) AND u.id NOT IN (SELECT h.run_id FROM h)) AS lost
-- part runs
    , ARRAY(SELECT r.id FROM r WHERE r.seen IS NOT NULL) AS dequeued
-- end
-- part trouble
    , ARRAY(SELECT ql.run_id FROM ql) AS not_due
-- end
-- part pivots
    , ARRAY(SELECT p.id FROM p WHERE p.request = 1) AS refused
-- end
FROM f
