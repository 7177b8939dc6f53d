-- The engine's tables. Principles, each with its reason in docs/decisions/: hot rows are few and narrow; a column that
-- changes is in no index and no index predicate, so that updates stay HOT (`ready.lane` is the one exception, on the one
-- tiny table); no foreign keys, triggers or counters on hot tables; payloads are `json` (text kept as it came), not
-- `jsonb`: smaller, cheaper to write, and nothing that serde accepts is refused.

-- Time and ids ------------------------------------------------------------------------------------------------------------

-- The one clock that durable decisions go by. Tests move it by changing `shift`; leases use the real clock.
CREATE TABLE {schema}.clock (
    one   boolean  PRIMARY KEY DEFAULT true CHECK (one),
    shift interval NOT NULL DEFAULT '0'
);
INSERT INTO {schema}.clock DEFAULT VALUES;
CREATE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT statement_timestamp() + shift FROM {schema}.clock';

-- The first id of a moment: ids of runs are UUIDv7.
CREATE FUNCTION {schema}.id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- The beginning of a moment's week, in UTC whatever the session's zone is.
CREATE FUNCTION {schema}.week_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
    $$ SELECT date_trunc('week', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' $$;

-- Workflows and workers ---------------------------------------------------------------------------------------------------

-- Every (workflow, version) that a worker has ever registered. `secret_fields`: names of payload fields that are never
-- shown, anywhere in a payload of the workflow's runs.
CREATE TABLE {schema}.workflow (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    version       int  NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    secret_fields text[] NOT NULL DEFAULT '{}',
    UNIQUE (name, version)
);

-- One row per worker process; it lives as long as one of its lanes.
CREATE TABLE {schema}.worker (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text   NOT NULL,
    queues     text[] NOT NULL,
    workflows  int[]  NOT NULL,
    slots      int    NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

-- A worker's flushing connection: lease, heartbeat and fence in one. Each flush and claim updates it WHERE alive.
CREATE TABLE {schema}.lane (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker_id int         NOT NULL,
    alive     boolean     NOT NULL DEFAULT true,
    beat      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Runs and steps ----------------------------------------------------------------------------------------------------------
-- Retention drops partitions: `run` and `step` are ranges of the run's id, by week. A run of an age for which there is no
-- partition is in the default one, and works like any other.

-- A workflow run: inserted once, updated when it ends or parks. `status`: 0 active (due or claimed: see `ready`), 1 waiting,
-- 2 paused, 3 compensating, 4 stuck, 5 completed, 6 compensated, 7 failed, 8 abandoned.
-- `inbox` counts signals and requests: a park or an end that has not seen the latest one is refused.
CREATE TABLE {schema}.run (
    id          uuid     PRIMARY KEY,
    created_at  timestamptz NOT NULL,
    deadline_at timestamptz,
    workflow_id int      NOT NULL,
    queue       text     NOT NULL,
    key         text,
    parent_id   uuid,
    tags        jsonb,
    input       json     NOT NULL,
    -- Columns that change come last: the log then holds only the rest of the row behind them, not the input once more.
    inbox       int      NOT NULL DEFAULT 0,
    status      smallint NOT NULL DEFAULT 0,
    request     smallint NOT NULL DEFAULT 0, -- 0 none, 1 cancel, 2 compensate, 3 pause
    started_at  timestamptz,
    finished_at timestamptz,
    wait_since  timestamptz,
    wait_until  timestamptz,
    wait_kind   text,
    wait_name   text,
    output      json,
    failure     json,
    traceparent text -- the caller's W3C trace context: a run is one trace
) PARTITION BY RANGE (id);

-- Runs by tag. Tags never change, so the update that ends a run stays HOT; a run without tags has no entry.
-- No pending list: a search would have to read it, and some unlucky start would have to empty it.
CREATE INDEX run_tags ON {schema}.run USING gin (tags) WITH (fastupdate = off) WHERE tags IS NOT NULL;

-- Runs of a rare workflow among a million others. A B-tree on (workflow_id, id) costs each start 95 bytes of log, 3 per cent
-- of what a run costs; block ranges cost a start nothing measurable, and lead to the few places where a rare one is. Ranges
-- keep a few values each where Postgres can (14 or newer), or one workflow between two common ones would be in all of them.
DO $$ BEGIN
    EXECUTE 'CREATE INDEX run_workflow_ranges ON {schema}.run USING brin (workflow_id'
        || CASE WHEN current_setting('server_version_num')::int >= 140000 THEN ' int4_minmax_multi_ops' ELSE '' END
        || ') WITH (pages_per_range = 32)';
END $$;

-- Runs that take on from another one (forks, late payments): there are few.
CREATE INDEX run_parent ON {schema}.run (parent_id) WHERE parent_id IS NOT NULL;

-- A step's intent and outcome, forward (direction 0) or undo (1). `kind`: 0 activity, 1 timer, 2 signal, 3 side value,
-- 4 pivot. `outcome`: null open, 1 ok, 2 failed, 3 unknown, 4 skipped. `ord`: the position at which its outcome was handed to
-- the workflow function, which is what makes replay deterministic; `asked`: how many outcomes had been handed over when the
-- function called for it, which is what tells one after the other from side by side when undos are planned.
CREATE TABLE {schema}.step (
    run_id          uuid        NOT NULL,
    started_at      timestamptz,
    finished_at     timestamptz,
    seq             int         NOT NULL,
    ord             int,
    asked           int         NOT NULL,
    lane            int,
    direction       smallint    NOT NULL,
    kind            smallint    NOT NULL,
    outcome         smallint,
    attempts        smallint    NOT NULL,
    generation      smallint    NOT NULL,
    undoable        boolean     NOT NULL,
    name            text        NOT NULL,
    input           json,
    output          json,
    error           json,
    details         json,
    due_at          timestamptz,
    next_attempt_at timestamptz,
    undo_after      int[],
    policy          json,   -- another policy for this step, given by an operator with a retry; workers never write it
    -- Failed attempts one by one, the first and the latest nine; a step that was `ok` at once has none, so the hot path
    -- doesn't write it. In the row and not in a table of its own: a row whose attempt fails is written anyway.
    attempt_log     json[],
    PRIMARY KEY (run_id, seq, direction)
) PARTITION BY RANGE (run_id);

-- Fillfactors: room for one update of each run on its own page, which keeps it HOT.
CREATE TABLE {schema}.run_default PARTITION OF {schema}.run DEFAULT WITH (fillfactor = 45);
CREATE TABLE {schema}.step_default PARTITION OF {schema}.step DEFAULT WITH (fillfactor = 95);

-- Makes the first missing week's partitions, from this week to `ahead` weeks on; says whether there was one to make.
-- Attached, not created as partitions: that locks the parents against nobody who reads or writes rows, only the (small)
-- default partition for a moment. A week whose runs are in the default partition already gets none: they would have to move.
CREATE FUNCTION {schema}.make_partition(ahead int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    week  timestamptz;
    since uuid;
    until uuid;
    name  text;
BEGIN
    FOR n IN 0..ahead LOOP
        week := {schema}.week_of({schema}.now()) + n * interval '168 hours';
        since := {schema}.id_at(week);
        until := {schema}.id_at(week + interval '168 hours');
        name := to_char(week AT TIME ZONE 'UTC', 'YYYY_MM_DD');
        CONTINUE WHEN to_regclass('{schema}.run_' || name) IS NOT NULL
            OR EXISTS (SELECT FROM {schema}.run_default WHERE id >= since AND id < until)
            OR EXISTS (SELECT FROM {schema}.step_default WHERE run_id >= since AND run_id < until);
        BEGIN
            EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.step INCLUDING DEFAULTS) WITH (fillfactor = 95)', 'step_' || name);
            EXECUTE format('CREATE TABLE {schema}.%I (LIKE {schema}.run INCLUDING DEFAULTS) WITH (fillfactor = 45)', 'run_' || name);
            EXECUTE format('ALTER TABLE {schema}.step ATTACH PARTITION {schema}.%I FOR VALUES FROM (%L) TO (%L)',
                           'step_' || name, since, until);
            EXECUTE format('ALTER TABLE {schema}.run ATTACH PARTITION {schema}.%I FOR VALUES FROM (%L) TO (%L)',
                           'run_' || name, since, until);
            RETURN true;
        EXCEPTION
            -- It overlaps with the table from before there were partitions, or a run got into the default one just now.
            WHEN invalid_object_definition OR check_violation THEN CONTINUE;
        END;
    END LOOP;
    RETURN false;
END $$;
DO $$ BEGIN WHILE {schema}.make_partition(4) LOOP END LOOP; END $$;

-- The caller's idempotency key of a run, with a hash of the request that it came with.
CREATE TABLE {schema}.run_key (
    workflow text  NOT NULL,
    key      text  NOT NULL,
    run_id   uuid  NOT NULL,
    hash     bytea NOT NULL,
    PRIMARY KEY (workflow, key)
);

-- A run that is due (lane null) or claimed by a lane. Tiny, and the only table that claims touch.
CREATE TABLE {schema}.ready (
    run_id      uuid        PRIMARY KEY,
    due_at      timestamptz NOT NULL,
    lane        int,
    workflow_id int         NOT NULL,
    takeovers   smallint    NOT NULL DEFAULT 0, -- without progress: poison after a limit
    fresh       boolean     NOT NULL,           -- never advanced: it has no history to load
    queue       text        NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX ready_claim ON {schema}.ready (queue, workflow_id, due_at) WHERE lane IS NULL;

-- A parked run's earliest wake-up. Every parked run has one: a run that waits for a signal without a limit is due at
-- 'infinity', which never comes. So waiting runs can be listed without an index on `run` that names a status.
CREATE TABLE {schema}.timer (
    run_id uuid        PRIMARY KEY,
    due_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX timer_due ON {schema}.timer (due_at);

-- A run's inbox.
CREATE TABLE {schema}.signal (
    run_id      uuid   NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    name        text   NOT NULL,
    payload     json,
    key         text,
    consumed_by int,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (run_id, id)
);
CREATE UNIQUE INDEX signal_key ON {schema}.signal (run_id, key) WHERE key IS NOT NULL;

-- The compensation plan of a run was made: once, which the key ensures. Its undos are step rows of direction 1.
CREATE TABLE {schema}.compensation (
    run_id     uuid PRIMARY KEY,
    cause      json NOT NULL,
    planned_at timestamptz NOT NULL
);

-- How long ended runs of a workflow are kept, where that is not the server's default.
CREATE TABLE {schema}.retention (
    workflow   text        PRIMARY KEY,
    keep_s     bigint      NOT NULL CHECK (keep_s > 0),
    updated_at timestamptz NOT NULL
);

-- Operators ---------------------------------------------------------------------------------------------------------------
-- Nothing here is on the hot path: a run that starts, works and completes writes none of these tables.

-- Runs that are paused, compensating, stuck, compensated, failed or abandoned. It makes such runs findable by status and
-- error without an index on `run` that names a status, which would cost every update of `run` its HOT. Written in the
-- commit that writes `run.status`; an operator's action that brings the run back to active deletes the row.
CREATE TABLE {schema}.exceptional (
    run_id      uuid        PRIMARY KEY,
    status      smallint    NOT NULL,
    workflow_id int         NOT NULL,
    code        text,                   -- of the failure
    since       timestamptz NOT NULL,
    step_name   text                    -- of the failure's step
);
CREATE INDEX exceptional_status ON {schema}.exceptional (status, run_id);
CREATE INDEX exceptional_code ON {schema}.exceptional (code, run_id);
CREATE INDEX exceptional_step ON {schema}.exceptional (step_name, run_id);

-- What needs an operator, by kind: stuck, poison, unknown (a step nobody could settle), undo_failed, best_effort, retrying
-- (for long). `fingerprint` groups the same error: workflow, step, code, and the message without its numbers and ids.
CREATE TABLE {schema}.attention (
    run_id      uuid NOT NULL,
    seq         int  NOT NULL DEFAULT -1, -- -1: the run as a whole
    code        text NOT NULL,
    message     text NOT NULL,
    since       timestamptz NOT NULL,
    kind        text   NOT NULL DEFAULT 'stuck',
    fingerprint bigint NOT NULL DEFAULT 0,
    workflow_id int,
    step_name   text,
    PRIMARY KEY (run_id, seq)
);
CREATE INDEX attention_fingerprint ON {schema}.attention (fingerprint, run_id);
CREATE INDEX attention_code ON {schema}.attention (code, run_id);
CREATE INDEX attention_step ON {schema}.attention (step_name, run_id);

-- Since when a run is paused: its timers are frozen from that moment on.
CREATE TABLE {schema}.paused (
    run_id uuid        PRIMARY KEY,
    at     timestamptz NOT NULL
);

-- A workflow, an activity or a queue that is held back: no step of it begins.
CREATE TABLE {schema}.hold (
    kind   text        NOT NULL CHECK (kind IN ('workflow', 'activity', 'queue')),
    name   text        NOT NULL,
    actor  text        NOT NULL,
    reason text        NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- What operators did, written in the commit that does it, and what they were refused. `subject` names what is not a run: a
-- schedule, a hold, a key, an operation.
CREATE TABLE {schema}.audit (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor        text NOT NULL,
    action       text NOT NULL,
    run_id       uuid,
    reason       text,
    before       json,
    after        json,
    outcome      text NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused')),
    code         text,
    message      text,
    subject      text,
    operation_id uuid
);
CREATE INDEX audit_run ON {schema}.audit (run_id);
CREATE INDEX audit_actor ON {schema}.audit (actor, id);
CREATE INDEX audit_action ON {schema}.audit (action, id);
CREATE INDEX audit_at ON {schema}.audit (at);
CREATE INDEX audit_refused ON {schema}.audit (id) WHERE outcome = 'refused';
-- By key, whatever its clients say of themselves: `key:night-shift` also finds `key:night-shift (cli:anna)`.
CREATE INDEX audit_key ON {schema}.audit (split_part(actor, ' (', 1), id);

-- A bulk operation: one action over the runs that a filter matched when it was created. `done` and `refused` are counted
-- once, when it ends. Null: it goes on, and its runs are counted by the reader.
CREATE TABLE {schema}.operation (
    id           uuid        PRIMARY KEY,
    action       json        NOT NULL,
    filter       json        NOT NULL,
    reason       text,
    actor        text        NOT NULL,
    rate         int         NOT NULL,           -- runs a second
    status       text        NOT NULL CHECK (status IN ('pending', 'running', 'paused', 'completed', 'cancelled')),
    total        int         NOT NULL,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    finished_at  timestamptz,
    done         bigint,
    refused      bigint
);
CREATE INDEX operation_open ON {schema}.operation (created_at) WHERE finished_at IS NULL;

-- One run of a bulk operation, with its result. `outcome` null: still to be done.
CREATE TABLE {schema}.operation_run (
    operation_id uuid NOT NULL,
    run_id       uuid NOT NULL,
    outcome      text CHECK (outcome IN ('done', 'refused')),
    code         text,
    message      text,
    at           timestamptz,
    PRIMARY KEY (operation_id, run_id)
);
CREATE INDEX operation_run_open ON {schema}.operation_run (operation_id, run_id) WHERE outcome IS NULL;

-- Schedules ---------------------------------------------------------------------------------------------------------------

-- Runs that start by the clock. `next_at`: the slot that is due next, in real time of the schedule's zone.
CREATE TABLE {schema}.schedule (
    name        text        PRIMARY KEY,
    cron        text        NOT NULL,
    time_zone   text        NOT NULL,
    workflow    text        NOT NULL,
    input       json        NOT NULL,
    queue       text,
    overlap     text        NOT NULL CHECK (overlap IN ('skip', 'queue', 'allow')),
    catch_up    text        NOT NULL CHECK (catch_up IN ('none', 'latest', 'all')),
    paused      boolean     NOT NULL DEFAULT false,
    next_at     timestamptz,
    last_run_id uuid,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- A slot of a schedule that has come, and its outcome: at most one row, however many servers run.
CREATE TABLE {schema}.schedule_slot (
    schedule text        NOT NULL,
    slot     timestamptz NOT NULL,
    outcome  text        NOT NULL CHECK (outcome IN ('started', 'queued', 'skipped', 'missed', 'refused')),
    run_id   uuid,
    message  text,
    at       timestamptz NOT NULL,
    PRIMARY KEY (schedule, slot)
);
-- Every server reads these about once a second.
CREATE INDEX schedule_slot_queued ON {schema}.schedule_slot (schedule, slot) WHERE outcome = 'queued';
CREATE INDEX schedule_slot_missed ON {schema}.schedule_slot (schedule) WHERE outcome = 'missed';

-- Access ------------------------------------------------------------------------------------------------------------------

-- API keys. The secret is shown once and kept as its SHA-256: it has 256 random bits, so nothing slower is needed.
CREATE TABLE {schema}.api_key (
    id           text        PRIMARY KEY,
    name         text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('viewer', 'starter', 'operator', 'admin')),
    secret_hash  bytea       NOT NULL,
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- A browser that has signed in with a key. `id` is the SHA-256 of the cookie.
CREATE TABLE {schema}.session (
    id         bytea       PRIMARY KEY,
    key_id     text        NOT NULL,
    csrf       text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
