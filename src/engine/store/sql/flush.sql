-- Records steps and what becomes of runs: one statement, one commit, hundreds of runs. Called by store/flush.rs.
-- f: the fence, heartbeat and lease in one: where the lane has been declared dead nothing below writes anything, since
--    everything joins on its row.
-- u, r: each run is also checked against `ready.lane`, so that one that is not this lane's neither aborts nor
--    pollutes the batch.
-- s, c: rows that are new and rows that are on record. ON CONFLICT would do for both, at the price of one more log record
--    for each new row. Where a lost answer leaves it open which is which, the caller looks first (mark_recorded).
--    An outcome on record never changes (unknown may be resolved); writing the same again is harmless.
-- r: a run that is let go of must have seen the latest inbox counter, on the row that this updates: NOT EXISTS (a
--    signal) would miss one that commits while this waits for the row (tried).
-- Locks, in order: lane, step, run, ready.
WITH f AS (
    UPDATE backstitch.lane SET beat = clock_timestamp() WHERE id = $1 AND alive RETURNING id, backstitch.now() AS now
),
u AS MATERIALIZED (
    SELECT u.*, f.id AS lane, f.now
    FROM f, unnest($2::uuid[], $3::int[], $4::smallint[], $5::smallint[], $6::text[], $7::int[], $8::int[], $9::smallint[],
            $10::smallint[], $11::smallint[], $12::boolean[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::timestamptz[], $18::bigint[], $19::timestamptz[], $20::text[], $21::bigint[], $33::boolean[])
        u(run_id, seq, direction, kind, name, ord, asked, outcome, attempts, generation, undoable, input, output, error,
            details, due_at, due_in, next_attempt_at, undo_after, took, recorded)
    JOIN backstitch.ready q ON q.run_id = u.run_id
    WHERE q.lane = f.id
),
s AS (
    INSERT INTO backstitch.step (run_id, seq, direction, kind, name, ord, asked, outcome, attempts, generation, undoable,
        input, output, error, details, due_at, next_attempt_at, undo_after, lane, started_at, finished_at)
    SELECT u.run_id, u.seq, u.direction, u.kind, u.name, u.ord, u.asked, u.outcome, u.attempts, u.generation, u.undoable,
        u.input::json, u.output::json, u.error::json, u.details::json,
        coalesce(u.due_at, u.now + u.due_in * interval '1 microsecond'), u.next_attempt_at, u.undo_after::int[], u.lane,
        u.now - u.took * interval '1 microsecond', CASE WHEN u.outcome IS NOT NULL THEN u.now END
    FROM u WHERE NOT u.recorded
),
c AS (
    UPDATE backstitch.step SET
        ord = u.ord, outcome = u.outcome, attempts = u.attempts, generation = u.generation,
        output = u.output::json, error = u.error::json, details = u.details::json,
        next_attempt_at = u.next_attempt_at, lane = u.lane,
        finished_at = coalesce(step.finished_at, CASE WHEN u.outcome IS NOT NULL THEN u.now END)
    FROM u
    WHERE u.recorded AND step.run_id = u.run_id AND step.seq = u.seq AND step.direction = u.direction
      AND (step.outcome IS NULL OR step.outcome = 3 OR step.outcome = u.outcome)
),
r AS (
    UPDATE backstitch.run SET
        status = u.status, output = u.output::json, failure = u.failure::json,
        request = CASE WHEN u.status = 3 THEN 0 ELSE run.request END,
        wait_kind = u.wait_kind, wait_name = u.wait_name,
        wait_since = CASE WHEN u.wait_kind IS NOT NULL THEN f.now END,
        wait_until = coalesce(u.wake_at, f.now + u.wake_in * interval '1 microsecond'),
        started_at = coalesce(run.started_at, u.claimed_at),
        finished_at = CASE WHEN u.status >= 5 THEN f.now END
    FROM f, unnest($22::uuid[], $23::smallint[], $24::text[], $25::text[], $26::text[], $27::text[], $28::timestamptz[],
            $29::bigint[], $30::int[], $31::timestamptz[])
        u(id, status, output, failure, wait_kind, wait_name, wake_at, wake_in, seen, claimed_at)
    JOIN backstitch.ready q ON q.run_id = u.id
    WHERE run.id = u.id AND q.lane = f.id AND (u.seen IS NULL OR run.inbox = u.seen)
    RETURNING run.id, u.seen IS NOT NULL AS rests
),
d AS (
    DELETE FROM backstitch.ready q USING r WHERE q.run_id = r.id AND r.rests
)
SELECT f.now,
    ARRAY(SELECT u.id FROM unnest($32::uuid[]) u(id)
          WHERE NOT EXISTS (SELECT FROM backstitch.ready q WHERE q.run_id = u.id AND q.lane = $1)) AS lost,
    ARRAY(SELECT r.id FROM r WHERE r.rests) AS rested
FROM f
