-- Records steps and what becomes of runs: one statement, one commit, hundreds of runs. Called by store/flush.rs.
-- f: the fence (fence_of_lane.sql or fence_of_step.sql): where the lane has been declared dead nothing below writes anything,
--    since everything joins on its row.
-- h: the runs that this lane holds. One that is another's by now neither aborts nor pollutes the batch. `(x IN (..)) IS TRUE`
--    keeps the planner from turning a hash lookup into a nested loop. A step's own transaction locks their rows (`{hold}`), for
--    its commit may outlive its client: nobody gives such a run to another worker before it is over.
-- s: steps that end with their first row, as arrays: the hot case. A plain insert, because ON CONFLICT costs one more log
--    record for each new row.
-- x: all others (intents, retries, undos, changes of a row on record, whatever may or may not have landed before a lost
--    connection), as one JSON text, which is empty most of the time. An outcome on record never changes (unknown may be
--    resolved); writing the same again is harmless. The log of attempts keeps the first and the latest ones; json[], because
--    jsonb refuses what json takes (a NUL in a gateway's message).
-- r: the plan is what a cancel or compensate asked for; a pause (3) is still to come after it.
--    A run that is let go of must have seen the latest inbox counter, on the row that this updates: NOT EXISTS (a
--    signal) would miss one that commits while this waits for the row (tried).
-- paused: runs whose pause was accepted before this statement began: nothing more of them may begin. `paused` is empty most
--    of the time, and read by its key: `run.request` would be a read of a row that most flushes leave alone. Where r has
--    written that row it knows better: a pause that it had to wait for has committed since this statement began.
-- Locks, in order: lane, step, run, ready; with `{hold}`: run, lane, ready, step.
WITH f AS {fence},
h AS MATERIALIZED (
    SELECT q.run_id FROM f, unnest($2::uuid[]) u(id) JOIN {schema}.ready q ON q.run_id = u.id WHERE q.lane = f.id {hold}
),
s AS (
    INSERT INTO {schema}.step (run_id, seq, kind, name, ord, issued_after, outcome, attempts, undoable, input, output, lane,
        started_at, finished_at, direction, generation)
    SELECT u.run_id, u.seq, u.kind, u.name, u.ord, u.issued_after, u.outcome, u.attempts, u.undoable, u.input::json, u.output::json,
        f.id, f.now - u.took * interval '1 microsecond', f.now, 0, 0
    FROM f, unnest($3::uuid[], $4::int[], $5::smallint[], $6::text[], $7::int[], $8::int[], $9::smallint[], $10::smallint[],
            $11::boolean[], $12::text[], $13::text[], $14::bigint[])
        u(run_id, seq, kind, name, ord, issued_after, outcome, attempts, undoable, input, output, took)
    WHERE (u.run_id IN (SELECT run_id FROM h)) IS TRUE
),
x AS (
    INSERT INTO {schema}.step (run_id, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation, undoable,
        input, output, error, details, due_at, next_attempt_at, undo_after, attempt_log, lane, started_at, finished_at)
    SELECT u.run_id, u.seq, u.direction, u.kind, u.name, u.ord, u.issued_after, u.outcome, u.attempts, u.generation, u.undoable,
        u.input::json, u.output::json, u.error::json, u.details::json, coalesce(u.due_at, f.now + u.due_in * interval '1 microsecond'),
        u.next_attempt_at, u.undo_after, u.attempt_log::json[], f.id,
        f.now - u.took * interval '1 microsecond', CASE WHEN u.outcome IS NOT NULL THEN f.now END
    FROM f, json_to_recordset($15::json)
        u(run_id uuid, seq int, direction smallint, kind smallint, name text, ord int, issued_after int, outcome smallint,
            attempts smallint, generation smallint, undoable boolean, input text, output text, error text, details text,
            due_at timestamptz, due_in bigint, next_attempt_at timestamptz, undo_after int[], attempt_log text[], took bigint)
    WHERE (u.run_id IN (SELECT run_id FROM h)) IS TRUE
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
),
r AS (
    UPDATE {schema}.run SET
        status = u.status, output = u.output::json, failure = u.failure::json,
        request = CASE WHEN u.status = 3 AND run.request <> 3 THEN 0 ELSE run.request END,
        wait_kind = u.wait_kind, wait_name = u.wait_name,
        wait_since = CASE WHEN u.wait_kind IS NOT NULL THEN f.now END,
        wait_until = coalesce(u.wake_at, f.now + u.wake_in * interval '1 microsecond'),
        started_at = coalesce(run.started_at, u.claimed_at),
        finished_at = CASE WHEN u.status >= 5 THEN f.now END
    FROM f, unnest($16::uuid[], $17::smallint[], $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[],
            $23::bigint[], $24::int[], $25::timestamptz[])
        u(id, status, output, failure, wait_kind, wait_name, wake_at, wake_in, seen, claimed_at)
    WHERE run.id = u.id AND (u.id IN (SELECT run_id FROM h)) IS TRUE AND (u.seen IS NULL OR run.inbox = u.seen)
    RETURNING run.id, u.seen IS NOT NULL AS leaves, run.request = 3 AS pauses
),
d AS (
    DELETE FROM {schema}.ready q USING r WHERE q.run_id = r.id AND r.leaves
)
SELECT f.now,
    ARRAY(SELECT u.id FROM unnest($2::uuid[]) u(id) WHERE (u.id IN (SELECT run_id FROM h)) IS NOT TRUE) AS lost,
    ARRAY(SELECT r.id FROM r WHERE r.leaves) AS dequeued,
    ARRAY(SELECT p.run_id FROM {schema}.paused p WHERE p.run_id = ANY ($2)
        UNION ALL SELECT r.id FROM r WHERE r.pauses) AS paused,
    f.beat
FROM f
