-- What operators need: who may, what they did, what needs them, what they hold back, and what happens by the clock.
-- Nothing here stands on the hot path: a run that starts, works and completes writes none of these tables, and no index
-- on `run`, `ready` or `step` is added (docs/decisions/0015).

-- A run on its way or at its end that is not the good one: paused, compensating, stuck, compensated, failed, abandoned.
-- It makes such runs findable by status and error without an index on `run` that names a status, which would cost every
-- update of `run` its HOT. Written in the commit that writes `run.status`; an operator's verb that brings the run back to
-- active takes the row away.
CREATE TABLE backstitch.exceptional (
    run_id      uuid        PRIMARY KEY,
    status      smallint    NOT NULL,
    workflow_id int         NOT NULL,
    code        text,                   -- of the failure
    since       timestamptz NOT NULL
);
CREATE INDEX exceptional_status ON backstitch.exceptional (status, run_id);
CREATE INDEX exceptional_code ON backstitch.exceptional (code, run_id);
INSERT INTO backstitch.exceptional (run_id, status, workflow_id, code, since)
SELECT r.id, r.status, r.workflow_id, r.failure ->> 'code', coalesce(r.finished_at, r.wait_since, r.created_at)
FROM backstitch.run r WHERE r.status IN (2, 3, 4, 6, 7, 8);

-- What needs attention, by kind: stuck, poison, unknown (a step nobody could settle), undo_failed, best_effort, retrying
-- (for long). `fingerprint` groups what is the same error: workflow, step, code, and the message without its numbers and ids.
ALTER TABLE backstitch.attention
    ADD COLUMN kind        text   NOT NULL DEFAULT 'stuck',
    ADD COLUMN fingerprint bigint NOT NULL DEFAULT 0,
    ADD COLUMN workflow_id int,
    ADD COLUMN step_name   text;
UPDATE backstitch.attention a SET workflow_id = r.workflow_id FROM backstitch.run r WHERE r.id = a.run_id;
CREATE INDEX attention_fingerprint ON backstitch.attention (fingerprint, run_id);

-- Since when a run is paused: its timers are frozen from that moment on.
CREATE TABLE backstitch.paused (
    run_id uuid        PRIMARY KEY,
    at     timestamptz NOT NULL
);

-- A workflow, an activity or a queue that is held back: no step of it begins.
CREATE TABLE backstitch.hold (
    kind   text        NOT NULL CHECK (kind IN ('workflow', 'activity', 'queue')),
    name   text        NOT NULL,
    actor  text        NOT NULL,
    reason text        NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- What operators did, and what they were refused. `subject` names what is no run: a schedule, a hold, a key, an operation.
ALTER TABLE backstitch.audit
    ADD COLUMN outcome      text NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused')),
    ADD COLUMN code         text,
    ADD COLUMN message      text,
    ADD COLUMN subject      text,
    ADD COLUMN operation_id uuid;

-- Another policy for one step, given by an operator with a retry. Null, and not written, by workers.
ALTER TABLE backstitch.step ADD COLUMN policy json;

-- The caller's W3C trace context: a run is one trace.
ALTER TABLE backstitch.run ADD COLUMN traceparent text;

-- Names of payload fields that are never shown, anywhere in a payload of the workflow's runs. Set at registration.
ALTER TABLE backstitch.workflow ADD COLUMN secret_fields text[] NOT NULL DEFAULT '{}';

-- A bulk operation: one action over the runs that a filter matched when it was created.
CREATE TABLE backstitch.operation (
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
    finished_at  timestamptz
);
CREATE INDEX operation_open ON backstitch.operation (created_at) WHERE finished_at IS NULL;

-- One run of a bulk operation, and what became of it. `outcome` null: still to be done.
CREATE TABLE backstitch.operation_run (
    operation_id uuid NOT NULL,
    run_id       uuid NOT NULL,
    outcome      text CHECK (outcome IN ('done', 'refused')),
    code         text,
    message      text,
    at           timestamptz,
    PRIMARY KEY (operation_id, run_id)
);
CREATE INDEX operation_run_open ON backstitch.operation_run (operation_id, run_id) WHERE outcome IS NULL;

-- Runs that start by the clock. `next_at`: the slot that is due next, in real time of the schedule's zone.
CREATE TABLE backstitch.schedule (
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

-- A slot of a schedule that has come, and what became of it: at most one row, however many servers run.
CREATE TABLE backstitch.schedule_slot (
    schedule text        NOT NULL,
    slot     timestamptz NOT NULL,
    outcome  text        NOT NULL CHECK (outcome IN ('started', 'queued', 'skipped', 'missed', 'refused')),
    run_id   uuid,
    message  text,
    at       timestamptz NOT NULL,
    PRIMARY KEY (schedule, slot)
);

-- API keys. The secret is shown once and kept as its SHA-256: it has 256 random bits, so nothing slower is needed.
CREATE TABLE backstitch.api_key (
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
CREATE TABLE backstitch.session (
    id         bytea       PRIMARY KEY,
    key_id     text        NOT NULL,
    csrf       text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
