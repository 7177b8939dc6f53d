-- The engine's tables. Principles, each with its reason in docs/decisions/: hot rows are few and narrow; a column that
-- changes stands in no index and no index predicate (updates stay HOT; `ready.lane` is the one exception, on the one
-- tiny table); no foreign keys, triggers or counters on hot tables; payloads are `json` (text kept as it came), not
-- `jsonb`: smaller, cheaper to write, and nothing that serde accepts is refused.
CREATE SCHEMA IF NOT EXISTS backstitch;

-- The one clock that durable decisions are judged by. Tests move it by changing `shift`; leases use the real clock.
CREATE TABLE backstitch.clock (
    one   boolean  PRIMARY KEY DEFAULT true CHECK (one),
    shift interval NOT NULL DEFAULT '0'
);
INSERT INTO backstitch.clock DEFAULT VALUES;
CREATE FUNCTION backstitch.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT statement_timestamp() + shift FROM backstitch.clock';

-- Every (workflow, version) that a worker has ever registered.
CREATE TABLE backstitch.workflow (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL,
    version       int  NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version)
);

-- One row per worker process; it lives while one of its lanes does.
CREATE TABLE backstitch.worker (
    id         int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text   NOT NULL,
    queues     text[] NOT NULL,
    workflows  int[]  NOT NULL,
    slots      int    NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);

-- A worker's flushing connection: lease, heartbeat and fence in one. Each flush and claim updates it WHERE alive.
CREATE TABLE backstitch.lane (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker_id int         NOT NULL,
    alive     boolean     NOT NULL DEFAULT true,
    beat      timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- A workflow run: inserted once, updated when it ends or rests. `status`: 0 active (due or held: see `ready`), 1 waiting,
-- 2 paused, 3 compensating, 4 stuck, 5 completed, 6 compensated, 7 failed, 8 abandoned.
-- `inbox` counts signals and requests: a park or an end that has not seen the latest one is refused.
CREATE TABLE backstitch.run (
    id          uuid     PRIMARY KEY,
    created_at  timestamptz NOT NULL,
    deadline_at timestamptz,
    workflow_id int      NOT NULL,
    queue       text     NOT NULL,
    key         text,
    parent_id   uuid,
    tags        jsonb,
    input       json     NOT NULL,
    -- What changes stands last: the log then holds only the rest of the row behind it, not the input once more.
    inbox       int      NOT NULL DEFAULT 0,
    status      smallint NOT NULL DEFAULT 0,
    request     smallint NOT NULL DEFAULT 0, -- 0 none, 1 cancel, 2 compensate
    started_at  timestamptz,
    finished_at timestamptz,
    wait_since  timestamptz,
    wait_until  timestamptz,
    wait_kind   text,
    wait_name   text,
    output      json,
    failure     json
) WITH (fillfactor = 45); -- room for one update of each row on its own page: HOT

-- The caller's idempotency key of a run, with a hash of the request that it came with.
CREATE TABLE backstitch.run_key (
    workflow text  NOT NULL,
    key      text  NOT NULL,
    run_id   uuid  NOT NULL,
    hash     bytea NOT NULL,
    PRIMARY KEY (workflow, key)
);

-- A run that is due (lane null) or held by a lane. Tiny, and the only table that claims touch.
CREATE TABLE backstitch.ready (
    run_id      uuid        PRIMARY KEY,
    due_at      timestamptz NOT NULL,
    lane        int,
    workflow_id int         NOT NULL,
    takeovers   smallint    NOT NULL DEFAULT 0, -- without progress: poison after a limit
    fresh       boolean     NOT NULL,           -- never advanced: it has no history to load
    queue       text        NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX ready_claim ON backstitch.ready (queue, workflow_id, due_at) WHERE lane IS NULL;

-- A parked run's earliest wake-up.
CREATE TABLE backstitch.timer (
    run_id uuid        PRIMARY KEY,
    due_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX timer_due ON backstitch.timer (due_at);

-- A step's intent and outcome, forward (direction 0) or undo (1). `kind`: 0 activity, 1 timer, 2 signal, 3 side value,
-- 4 pivot. `outcome`: null open, 1 ok, 2 failed, 3 unknown, 4 skipped. `ord`: the place in which its outcome was told to
-- the workflow function, which is what makes replay deterministic; `asked`: how many had been told when it was asked
-- for, which is what tells sequence from side by side when undos are planned.
CREATE TABLE backstitch.step (
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
    PRIMARY KEY (run_id, seq, direction)
) WITH (fillfactor = 95);

-- A run's inbox.
CREATE TABLE backstitch.signal (
    run_id      uuid   NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    name        text   NOT NULL,
    payload     json,
    key         text,
    consumed_by int,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (run_id, id)
);
CREATE UNIQUE INDEX signal_key ON backstitch.signal (run_id, key) WHERE key IS NOT NULL;

-- The compensation plan of a run was made: once, which the key sees to. Its undos are step rows of direction 1.
CREATE TABLE backstitch.compensation (
    run_id     uuid PRIMARY KEY,
    cause      json NOT NULL,
    planned_at timestamptz NOT NULL
);

-- What an operator should look at. A table of its own, so that no index on `run` mentions a status.
CREATE TABLE backstitch.attention (
    run_id  uuid NOT NULL,
    seq     int  NOT NULL DEFAULT -1, -- -1: the run as a whole
    code    text NOT NULL,
    message text NOT NULL,
    since   timestamptz NOT NULL,
    PRIMARY KEY (run_id, seq)
);

-- What operators did: written in the commit that does it.
CREATE TABLE backstitch.audit (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    actor  text NOT NULL,
    action text NOT NULL,
    run_id uuid,
    reason text,
    before json,
    after  json
);
CREATE INDEX audit_run ON backstitch.audit (run_id);
