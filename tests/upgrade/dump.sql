-- A database of the version before engine and shop had a history of migrations each, as its `pg_dump --inserts --no-owner`
-- wrote it (Postgres 15; comments and psql's own lines are left out). Read by tests/orders/upgrade.rs.
-- How it was made: `backstitch dev` of that version, twice. First with BACKSTITCH_REFUND_TIERS=1s:70,2s:40, where customers
-- `delivered` and `processing` each placed an order, and the first one's was delivered. Then with 876000h:70,1752000h:40, where
-- `declined` (tok_declined), `refunded` (cancelled by its customer), `placed`, `paused` (its run paused by an operator), `stuck`
-- (tok_refund_fails, compensated by an operator until it was stuck), `paying` (tok_late_success) and `compensating` (as `stuck`,
-- but still trying) placed one each. Besides: a run of archive_sweep that starts in 2126, a schedule `nightly`, a hold on
-- workflow archive_sweep with a run that waits for its release, and an API key `night-shift` of role operator.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA backstitch;
CREATE SCHEMA shop;
CREATE FUNCTION backstitch.id_at(at timestamp with time zone) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;
CREATE FUNCTION backstitch.make_partition(ahead integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    week  timestamptz;
    since uuid;
    until uuid;
    name  text;
BEGIN
    FOR n IN 0..ahead LOOP
        week := backstitch.week_of(backstitch.now()) + n * interval '168 hours';
        since := backstitch.id_at(week);
        until := backstitch.id_at(week + interval '168 hours');
        name := to_char(week AT TIME ZONE 'UTC', 'YYYY_MM_DD');
        CONTINUE WHEN to_regclass('backstitch.run_' || name) IS NOT NULL
            OR EXISTS (SELECT FROM backstitch.run_default WHERE id >= since AND id < until)
            OR EXISTS (SELECT FROM backstitch.step_default WHERE run_id >= since AND run_id < until);
        BEGIN
            EXECUTE format('CREATE TABLE backstitch.%I (LIKE backstitch.step INCLUDING DEFAULTS) WITH (fillfactor = 95)', 'step_' || name);
            EXECUTE format('CREATE TABLE backstitch.%I (LIKE backstitch.run INCLUDING DEFAULTS) WITH (fillfactor = 45)', 'run_' || name);
            EXECUTE format('ALTER TABLE backstitch.step ATTACH PARTITION backstitch.%I FOR VALUES FROM (%L) TO (%L)',
                           'step_' || name, since, until);
            EXECUTE format('ALTER TABLE backstitch.run ATTACH PARTITION backstitch.%I FOR VALUES FROM (%L) TO (%L)',
                           'run_' || name, since, until);
            RETURN true;
        EXCEPTION
            -- It overlaps with the table from before there were partitions, or a run got into the default one just now.
            WHEN invalid_object_definition OR check_violation THEN CONTINUE;
        END;
    END LOOP;
    RETURN false;
END $$;
CREATE FUNCTION backstitch.now() RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    AS $$SELECT statement_timestamp() + shift FROM backstitch.clock$$;
CREATE FUNCTION backstitch.week_of(at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT date_trunc('week', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' $$;
CREATE FUNCTION shop.drop_archive_months(before timestamp with time zone) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    part    text;
    dropped int := 0;
BEGIN
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'shop.order_archive'::regclass
          AND c.relname < 'order_archive_' || to_char(before AT TIME ZONE 'UTC', 'YYYY_MM')
    LOOP
        EXECUTE format('DROP TABLE shop.%I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
CREATE FUNCTION shop.ensure_archive_month(at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    first timestamptz := date_trunc('month', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    after timestamptz := (date_trunc('month', at AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    name  text := 'order_archive_' || to_char(at AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    IF to_regclass('shop.' || name) IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('shop.order_archive'));
        EXECUTE format('CREATE TABLE IF NOT EXISTS shop.%I PARTITION OF shop.order_archive FOR VALUES FROM (%L) TO (%L)',
                       name, first, after);
    END IF;
END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE backstitch.api_key (
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    secret_hash bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT api_key_role_check CHECK ((role = ANY (ARRAY['viewer'::text, 'starter'::text, 'operator'::text, 'admin'::text])))
);
CREATE TABLE backstitch.attention (
    run_id uuid NOT NULL,
    seq integer DEFAULT '-1'::integer NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    since timestamp with time zone NOT NULL,
    kind text DEFAULT 'stuck'::text NOT NULL,
    fingerprint bigint DEFAULT 0 NOT NULL,
    workflow_id integer,
    step_name text
);
CREATE TABLE backstitch.audit (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    run_id uuid,
    reason text,
    before json,
    after json,
    outcome text DEFAULT 'done'::text NOT NULL,
    code text,
    message text,
    subject text,
    operation_id uuid,
    CONSTRAINT audit_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'refused'::text])))
);
ALTER TABLE backstitch.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backstitch.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE backstitch.clock (
    one boolean DEFAULT true NOT NULL,
    shift interval DEFAULT '00:00:00'::interval NOT NULL,
    CONSTRAINT clock_one_check CHECK (one)
);
CREATE TABLE backstitch.compensation (
    run_id uuid NOT NULL,
    cause json NOT NULL,
    planned_at timestamp with time zone NOT NULL
);
CREATE TABLE backstitch.exceptional (
    run_id uuid NOT NULL,
    status smallint NOT NULL,
    workflow_id integer NOT NULL,
    code text,
    since timestamp with time zone NOT NULL,
    step_name text
);
CREATE TABLE backstitch.hold (
    kind text NOT NULL,
    name text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone NOT NULL,
    CONSTRAINT hold_kind_check CHECK ((kind = ANY (ARRAY['workflow'::text, 'activity'::text, 'queue'::text])))
);
CREATE TABLE backstitch.lane (
    id integer NOT NULL,
    worker_id integer NOT NULL,
    alive boolean DEFAULT true NOT NULL,
    beat timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='10', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='200');
ALTER TABLE backstitch.lane ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backstitch.lane_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE backstitch.migration (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE backstitch.operation (
    id uuid NOT NULL,
    action json NOT NULL,
    filter json NOT NULL,
    reason text,
    actor text NOT NULL,
    rate integer NOT NULL,
    status text NOT NULL,
    total integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    done bigint,
    refused bigint,
    CONSTRAINT operation_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'paused'::text, 'completed'::text, 'cancelled'::text])))
);
CREATE TABLE backstitch.operation_run (
    operation_id uuid NOT NULL,
    run_id uuid NOT NULL,
    outcome text,
    code text,
    message text,
    at timestamp with time zone,
    CONSTRAINT operation_run_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'refused'::text])))
);
CREATE TABLE backstitch.paused (
    run_id uuid NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE TABLE backstitch.ready (
    run_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    lane integer,
    workflow_id integer NOT NULL,
    takeovers smallint DEFAULT 0 NOT NULL,
    fresh boolean NOT NULL,
    queue text NOT NULL
)
WITH (fillfactor='60', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_cost_delay='0', vacuum_truncate=off);
CREATE TABLE backstitch.retention (
    workflow text NOT NULL,
    keep_s bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT retention_keep_s_check CHECK ((keep_s > 0))
);
CREATE TABLE backstitch.run (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
PARTITION BY RANGE (id);
CREATE TABLE backstitch.run_2026_11_23 (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_2026_11_30 (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_2026_12_07 (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_2026_12_14 (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_2026_12_21 (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_default (
    id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deadline_at timestamp with time zone,
    workflow_id integer NOT NULL,
    queue text NOT NULL,
    key text,
    parent_id uuid,
    tags jsonb,
    input json NOT NULL,
    inbox integer DEFAULT 0 NOT NULL,
    status smallint DEFAULT 0 NOT NULL,
    request smallint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    wait_since timestamp with time zone,
    wait_until timestamp with time zone,
    wait_kind text,
    wait_name text,
    output json,
    failure json,
    traceparent text
)
WITH (fillfactor='45');
CREATE TABLE backstitch.run_key (
    workflow text NOT NULL,
    key text NOT NULL,
    run_id uuid NOT NULL,
    hash bytea NOT NULL
);
CREATE TABLE backstitch.schedule (
    name text NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL,
    workflow text NOT NULL,
    input json NOT NULL,
    queue text,
    overlap text NOT NULL,
    catch_up text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    next_at timestamp with time zone,
    last_run_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT schedule_catch_up_check CHECK ((catch_up = ANY (ARRAY['none'::text, 'latest'::text, 'all'::text]))),
    CONSTRAINT schedule_overlap_check CHECK ((overlap = ANY (ARRAY['skip'::text, 'queue'::text, 'allow'::text])))
);
CREATE TABLE backstitch.schedule_slot (
    schedule text NOT NULL,
    slot timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    run_id uuid,
    message text,
    at timestamp with time zone NOT NULL,
    CONSTRAINT schedule_slot_outcome_check CHECK ((outcome = ANY (ARRAY['started'::text, 'queued'::text, 'skipped'::text, 'missed'::text, 'refused'::text])))
);
CREATE TABLE backstitch.session (
    id bytea NOT NULL,
    key_id text NOT NULL,
    csrf text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE backstitch.signal (
    run_id uuid NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    payload json,
    key text,
    consumed_by integer,
    created_at timestamp with time zone NOT NULL
);
ALTER TABLE backstitch.signal ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backstitch.signal_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE backstitch.step (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
PARTITION BY RANGE (run_id);
CREATE TABLE backstitch.step_2026_11_23 (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.step_2026_11_30 (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.step_2026_12_07 (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.step_2026_12_14 (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.step_2026_12_21 (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.step_default (
    run_id uuid NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    seq integer NOT NULL,
    ord integer,
    asked integer NOT NULL,
    lane integer,
    direction smallint NOT NULL,
    kind smallint NOT NULL,
    outcome smallint,
    attempts smallint NOT NULL,
    generation smallint NOT NULL,
    undoable boolean NOT NULL,
    name text NOT NULL,
    input json,
    output json,
    error json,
    details json,
    due_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    undo_after integer[],
    policy json,
    attempt_log json[]
)
WITH (fillfactor='95');
CREATE TABLE backstitch.timer (
    run_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE backstitch.worker (
    id integer NOT NULL,
    name text NOT NULL,
    queues text[] NOT NULL,
    workflows integer[] NOT NULL,
    slots integer NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE backstitch.worker ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backstitch.worker_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE backstitch.workflow (
    id integer NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    registered_at timestamp with time zone DEFAULT now() NOT NULL,
    secret_fields text[] DEFAULT '{}'::text[] NOT NULL
);
ALTER TABLE backstitch.workflow ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backstitch.workflow_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE shop.holds (
    order_id uuid NOT NULL,
    sku text NOT NULL,
    round smallint NOT NULL,
    quantity bigint NOT NULL,
    state text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT holds_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT holds_state_check CHECK ((state = ANY (ARRAY['held'::text, 'committed'::text, 'released'::text])))
);
CREATE TABLE shop.items (
    sku text NOT NULL,
    name text NOT NULL,
    price bigint NOT NULL,
    currency text NOT NULL,
    on_hand bigint NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT backstitch.now() NOT NULL,
    CONSTRAINT items_available CHECK ((held <= on_hand)),
    CONSTRAINT items_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT items_held_check CHECK ((held >= 0)),
    CONSTRAINT items_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT items_on_hand_check CHECK ((on_hand >= 0)),
    CONSTRAINT items_price_check CHECK ((price >= 0)),
    CONSTRAINT items_sku_check CHECK (((length(sku) >= 1) AND (length(sku) <= 64)))
);
CREATE TABLE shop.order_archive (
    id uuid NOT NULL,
    customer_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    archived_at timestamp with time zone NOT NULL,
    doc jsonb NOT NULL
)
PARTITION BY RANGE (created_at);
CREATE TABLE shop.order_archive_2026_11 (
    id uuid NOT NULL,
    customer_id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    archived_at timestamp with time zone NOT NULL,
    doc jsonb NOT NULL
);
CREATE TABLE shop.order_items (
    order_id uuid NOT NULL,
    sku text NOT NULL,
    quantity bigint NOT NULL,
    price bigint NOT NULL,
    CONSTRAINT order_items_price_check CHECK ((price >= 0)),
    CONSTRAINT order_items_quantity_check CHECK ((quantity > 0))
);
CREATE TABLE shop.order_keys (
    key text NOT NULL,
    order_id uuid NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT order_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);
CREATE TABLE shop.orders (
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    customer_id text NOT NULL,
    state text NOT NULL,
    cancel_reason text,
    payment_state text NOT NULL,
    stock_state text NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL,
    captured bigint DEFAULT 0 NOT NULL,
    refunded bigint DEFAULT 0 NOT NULL,
    intent_id text,
    refund_tiers text NOT NULL,
    address text,
    lat double precision,
    lon double precision,
    deliver_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    placed_at timestamp with time zone,
    dispatched_at timestamp with time zone,
    delivered_at timestamp with time zone,
    cancel_at timestamp with time zone,
    cancel_by text,
    cancel_bp integer,
    cancel_note text,
    archived_at timestamp with time zone,
    CONSTRAINT orders_cancel CHECK ((((cancel_at IS NULL) = (cancel_by IS NULL)) AND ((cancel_at IS NULL) = (cancel_bp IS NULL)))),
    CONSTRAINT orders_cancel_bp_check CHECK (((cancel_bp >= 0) AND (cancel_bp <= 10000))),
    CONSTRAINT orders_cancel_by_check CHECK ((cancel_by = ANY (ARRAY['customer'::text, 'seller'::text, 'system'::text]))),
    CONSTRAINT orders_cancel_reason_check CHECK ((cancel_reason = ANY (ARRAY['payment_failed'::text, 'payment_expired'::text, 'out_of_stock'::text, 'customer'::text, 'seller'::text, 'system'::text]))),
    CONSTRAINT orders_cancelled CHECK (((state = ANY (ARRAY['cancelling'::text, 'cancelled'::text])) = (cancel_reason IS NOT NULL))),
    CONSTRAINT orders_captured_check CHECK ((captured >= 0)),
    CONSTRAINT orders_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT orders_customer_id_check CHECK (((length(customer_id) >= 1) AND (length(customer_id) <= 128))),
    CONSTRAINT orders_lat_check CHECK (((lat >= ('-90'::integer)::double precision) AND (lat <= (90)::double precision))),
    CONSTRAINT orders_lon_check CHECK (((lon >= ('-180'::integer)::double precision) AND (lon <= (180)::double precision))),
    CONSTRAINT orders_payment_state_check CHECK ((payment_state = ANY (ARRAY['none'::text, 'pending'::text, 'captured'::text, 'unknown'::text, 'failed'::text, 'voided'::text, 'refund_pending'::text, 'partially_refunded'::text, 'refunded'::text, 'refund_failed'::text]))),
    CONSTRAINT orders_placed CHECK (((state <> ALL (ARRAY['placed'::text, 'processing'::text, 'shipped'::text, 'delivered'::text])) OR (placed_at IS NOT NULL))),
    CONSTRAINT orders_position CHECK (((lat IS NULL) = (lon IS NULL))),
    CONSTRAINT orders_refunded CHECK ((refunded <= captured)),
    CONSTRAINT orders_refunded_check CHECK ((refunded >= 0)),
    CONSTRAINT orders_state_check CHECK ((state = ANY (ARRAY['created'::text, 'awaiting_payment'::text, 'placed'::text, 'processing'::text, 'shipped'::text, 'delivered'::text, 'cancelling'::text, 'cancelled'::text]))),
    CONSTRAINT orders_stock_state_check CHECK ((stock_state = ANY (ARRAY['none'::text, 'held'::text, 'committed'::text, 'released'::text]))),
    CONSTRAINT orders_total_check CHECK ((total > 0))
);
CREATE TABLE shop.refunds (
    order_id uuid NOT NULL,
    no integer NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    refund_id text,
    last_error text,
    escalated_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT refunds_amount_check CHECK ((amount > 0)),
    CONSTRAINT refunds_no_check CHECK ((no > 0)),
    CONSTRAINT refunds_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'pending'::text, 'succeeded'::text, 'failed'::text])))
);
CREATE TABLE shop.webhook_events (
    id text NOT NULL,
    event_type text NOT NULL,
    order_id uuid,
    handled text NOT NULL,
    body json NOT NULL,
    made_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL
);
CREATE TABLE shop.webhook_rejects (
    id bigint NOT NULL,
    code text NOT NULL,
    body_hash bytea NOT NULL,
    body_bytes bigint NOT NULL,
    received_at timestamp with time zone NOT NULL
);
ALTER TABLE shop.webhook_rejects ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop.webhook_rejects_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_2026_11_23 FOR VALUES FROM ('01a205b3-d000-0000-0000-000000000000') TO ('01a229c0-5400-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_2026_11_30 FOR VALUES FROM ('01a229c0-5400-0000-0000-000000000000') TO ('01a24dcc-d800-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_2026_12_07 FOR VALUES FROM ('01a24dcc-d800-0000-0000-000000000000') TO ('01a271d9-5c00-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_2026_12_14 FOR VALUES FROM ('01a271d9-5c00-0000-0000-000000000000') TO ('01a295e5-e000-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_2026_12_21 FOR VALUES FROM ('01a295e5-e000-0000-0000-000000000000') TO ('01a2b9f2-6400-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.run ATTACH PARTITION backstitch.run_default DEFAULT;
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_2026_11_23 FOR VALUES FROM ('01a205b3-d000-0000-0000-000000000000') TO ('01a229c0-5400-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_2026_11_30 FOR VALUES FROM ('01a229c0-5400-0000-0000-000000000000') TO ('01a24dcc-d800-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_2026_12_07 FOR VALUES FROM ('01a24dcc-d800-0000-0000-000000000000') TO ('01a271d9-5c00-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_2026_12_14 FOR VALUES FROM ('01a271d9-5c00-0000-0000-000000000000') TO ('01a295e5-e000-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_2026_12_21 FOR VALUES FROM ('01a295e5-e000-0000-0000-000000000000') TO ('01a2b9f2-6400-0000-0000-000000000000');
ALTER TABLE ONLY backstitch.step ATTACH PARTITION backstitch.step_default DEFAULT;
ALTER TABLE ONLY shop.order_archive ATTACH PARTITION shop.order_archive_2026_11 FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00');
INSERT INTO backstitch.api_key VALUES
	('9585b73bc61c', 'night-shift', 'operator', '\xe809f1d99903fe49b3eeb8c103802f5eb5b5dfa3b97d84c6c50272b0b5e19f8d', 'cli', '2026-11-27 00:46:51.715614+00', NULL, NULL, NULL);
INSERT INTO backstitch.attention VALUES
	('01a21a77-b517-7725-b750-2303052c14c5', -1, 'undo_failed', 'the undo of step 5 (charge) failed for good: gateway_rejected: the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.', '2026-11-27 00:46:50.488202+00', 'undo_failed', 4777041958713459820, 3, 'charge'),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', 5, 'gateway_rejected', 'the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.', '2026-11-27 00:46:55.417998+00', 'retrying', 7970570562032547027, 3, 'charge');
INSERT INTO backstitch.audit OVERRIDING SYSTEM VALUE VALUES
	(1, '2026-11-27 00:46:22.409572+00', 'cli', 'pause', '01a21a77-b1cc-715a-852e-d67afa2567a8', 'the customer is on the phone', '{"status":"waiting"}', '{"status":"paused"}', 'done', NULL, NULL, NULL, NULL),
	(2, '2026-11-27 00:46:23.091057+00', 'cli', 'compensate', '01a21a77-b517-7725-b750-2303052c14c5', 'placed by mistake', '{"status":"waiting"}', '{"request":"compensate","status":"waiting","undo":[5,3,2,1,0]}', 'done', NULL, NULL, NULL, NULL),
	(3, '2026-11-27 00:46:28.33022+00', 'cli', 'set', NULL, NULL, NULL, '{"catch_up":"latest","cron":"0 3 * * *","input":{"after_ms":31536000000000},"overlap":"skip","paused":false,"queue":null,"time_zone":"UTC","workflow":"archive_sweep"}', 'done', NULL, NULL, 'schedule nightly', NULL),
	(4, '2026-11-27 00:46:28.392765+00', 'cli', 'hold', NULL, 'the history store is being moved', NULL, '{"held":true}', 'done', NULL, NULL, 'workflow archive_sweep', NULL),
	(5, '2026-11-27 00:46:51.660362+00', 'cli', 'compensate', '01a21a78-24ea-74fd-8fc1-8b0292260d4c', 'placed by mistake, too', '{"status":"waiting"}', '{"request":"compensate","status":"waiting","undo":[5,3,2,1,0]}', 'done', NULL, NULL, NULL, NULL),
	(6, '2026-11-27 00:46:51.724861+00', 'cli', 'create_key', NULL, NULL, NULL, '{"name":"night-shift","role":"operator","state":"active"}', 'done', NULL, NULL, 'key 9585b73bc61c', NULL);
INSERT INTO backstitch.clock VALUES
	(true, '00:00:00');
INSERT INTO backstitch.compensation VALUES
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '{"code":"payment_declined","message":"Your card was declined.","step":5}', '2026-11-27 00:46:19.656016+00'),
	('01a21a77-b517-7725-b750-2303052c14c5', '{"code":"compensated","message":"an operator had it undone"}', '2026-11-27 00:46:23.140995+00'),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '{"code":"compensated","message":"an operator had it undone"}', '2026-11-27 00:46:51.691687+00');
INSERT INTO backstitch.exceptional VALUES
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', 6, 3, 'payment_declined', '2026-11-27 00:46:19.814896+00', 'charge'),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', 2, 3, NULL, '2026-11-27 00:46:22.409042+00', NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', 4, 3, 'undo_failed', '2026-11-27 00:46:50.488486+00', 'charge'),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', 3, 3, 'compensated', '2026-11-27 00:46:51.691813+00', NULL);
INSERT INTO backstitch.hold VALUES
	('workflow', 'archive_sweep', 'cli', 'the history store is being moved', '2026-11-27 00:46:28.384679+00');
INSERT INTO backstitch.lane OVERRIDING SYSTEM VALUE VALUES
	(4, 2, true, '2026-11-27 00:47:01.506785+00'),
	(3, 2, true, '2026-11-27 00:47:01.529027+00'),
	(2, 1, false, '2026-11-27 00:46:15.138102+00'),
	(1, 1, false, '2026-11-27 00:46:15.129723+00');
INSERT INTO backstitch.migration VALUES
	(1, 'engine', '2026-11-27 00:46:04.58078+00', true, '\xa2f60ea3224af53b994b4178a2f1dfaa3d0adb82a0fe45fd6d64d91cb05e7dc1bea95475327e5a6f62e89ba54efe12d4', 206166822),
	(2, 'shop', '2026-11-27 00:46:04.796686+00', true, '\xbc1e63e2bde3275e55d31920e5518bce4dddf9a5d96172683d543e944bd2029d35e04431220fa70b53c1dd69cf41f262', 215991934),
	(3, 'operators', '2026-11-27 00:46:05.02879+00', true, '\xee11444e9629522d1a7455c98e88393942fc969ec15a63ef7d0ea0c6b9fcf5ea68eedc9c14feb66ec7e284415fee4987', 224077270),
	(4, 'finding', '2026-11-27 00:46:05.268772+00', true, '\x798fa231a4de11b9434fcb500a7a279f4da8ba644e9523070072504f5d7575053794920d7fd314489cd7575fccba3d7f', 84019477),
	(5, 'partitions', '2026-11-27 00:46:05.364785+00', true, '\x5b30dcf57267706c4b922f781a11a98e544339ec54321a7a51d73837503133892210bcf58e248b89d6a2bc6c67713670', 304608729),
	(6, 'rare workflows', '2026-11-27 00:46:05.678026+00', true, '\xfd053c7851918475baf69820a0d957a75233b8ce93e2082c4220bd15d1cd88ef57282069b80a44ce543ba84e244c99ff', 30749009),
	(7, 'audit by key', '2026-11-27 00:46:05.712801+00', true, '\x8fc47c320d5ad8a5956879ae37670a5a2a02b1f010bf532ba72953442cbdc0fd40a5b62f38201e542fb9bc3dc3a73bfd', 35974356),
	(8, 'attempt log', '2026-11-27 00:46:05.760785+00', true, '\x9880522d3bf5778edac64d79b312fa55cb7125510619a8779fa2371180f131aa51f12066816e03d601f38abcaecbeca2', 35996957),
	(9, 'children', '2026-11-27 00:46:05.800807+00', true, '\x0d99ad1dc8a398535c3261471eaac67c8e9aaa0b9dc4f8c51dec909b003dc60c5c0fa6398007922f5d467bfa2407d5f2', 79952933),
	(10, 'operation counts', '2026-11-27 00:46:05.896753+00', true, '\xc2a4932dc3393fbd0a8410d8ef94569f097a1139cfbe3449a476814c4a6c42841103411319989c29df1a5be935469c81', 24130654);
INSERT INTO backstitch.paused VALUES
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:22.381472+00');
INSERT INTO backstitch.ready VALUES
	('01a21a77-cc3f-7785-9d6c-631572fc9177', '2026-11-27 00:46:28.415594+00', NULL, 1, 0, true, 'default');
INSERT INTO backstitch.run_2026_11_23 VALUES
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.532914+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-b517-7725-b750-230268de6acb"}', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","amount":3000,"currency":"EUR","token":"tok_refund_fails","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 2, 4, 0, '2026-11-27 00:46:22.545153+00', NULL, NULL, NULL, NULL, NULL, NULL, '{"code":"undo_failed","message":"the undo of step 5 (charge) failed for good: gateway_rejected: the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.","step":5}', NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.653033+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-b1cc-715a-852e-d6790468cd02"}', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","amount":3000,"currency":"EUR","token":"tok_ok","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 2, 2, 0, '2026-11-27 00:46:21.66339+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.397218+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","amount":3000,"currency":"EUR","token":"tok_declined","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 2, 6, 0, '2026-11-27 00:46:19.425627+00', '2026-11-27 00:46:19.812861+00', NULL, NULL, NULL, NULL, NULL, '{"code":"payment_declined","message":"Your card was declined.","step":5}', NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:07.87334+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-7bd6-77f3-91cc-48967794d9f1"}', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","amount":3000,"currency":"EUR","token":"tok_ok","payment_window_ms":3153600000000,"refund_window_ms":2000}', 1, 1, 0, '2026-11-27 00:46:07.889197+00', NULL, '2026-11-27 00:46:10.193068+00', NULL, 'signal', 'order_changed', NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.021132+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","amount":3000,"currency":"EUR","token":"tok_ok","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 3, 5, 0, '2026-11-27 00:46:20.060811+00', '2026-11-27 00:46:21.269882+00', NULL, NULL, NULL, NULL, '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","state":"cancelled"}', NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:20.918935+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-aece-7218-b0ed-c87b7c82afa8"}', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","amount":3000,"currency":"EUR","token":"tok_ok","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 1, 1, 0, '2026-11-27 00:46:20.969002+00', NULL, '2026-11-27 00:46:21.290993+00', '2226-10-10 00:46:21.20798+00', 'signal', 'order_changed', NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.347095+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-79c4-73ca-be04-e906cc9716e9"}', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","amount":3000,"currency":"EUR","token":"tok_ok","payment_window_ms":3153600000000,"refund_window_ms":2000}', 3, 5, 0, '2026-11-27 00:46:07.356774+00', '2026-11-27 00:46:13.481143+00', NULL, NULL, NULL, NULL, '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","state":"delivered"}', NULL, NULL),
	('01a21a77-cc3f-7785-9d6c-631572fc9177', '2026-11-27 00:46:28.415594+00', NULL, 1, 'default', 'held', NULL, NULL, '{"after_ms":31536000000000}', 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.161036+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a77-b7ac-743d-a3bd-9b7cacd34437"}', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","amount":3000,"currency":"EUR","token":"tok_late_success","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 1, 1, 0, '2026-11-27 00:46:23.174879+00', NULL, '2026-11-27 00:46:53.726949+00', '2026-11-27 00:47:23.726289+00', 'signal', 'order_changed', NULL, NULL, NULL),
	('01a21a77-cba0-717f-9f00-94e01cfa7bea', '2026-11-27 00:46:28.261676+00', NULL, 1, 'default', 'later', NULL, '{"batch": "one"}', '{"after_ms":31536000000000}', 0, 1, 0, NULL, NULL, '2026-11-27 00:46:28.261676+00', '2126-01-01 00:00:00+00', 'start', NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.137021+00', NULL, 3, 'default', NULL, NULL, '{"order": "01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","amount":3000,"currency":"EUR","token":"tok_refund_fails","payment_window_ms":3153600000000,"refund_window_ms":6307200000000}', 2, 3, 0, '2026-11-27 00:46:51.15995+00', NULL, '2026-11-27 00:46:59.329117+00', '2026-11-27 00:47:06.237153+00', 'retry', 'charge', NULL, '{"code":"compensated","message":"an operator had it undone"}', NULL);
INSERT INTO backstitch.run_key VALUES
	('archive_sweep', 'later', '01a21a77-cba0-717f-9f00-94e01cfa7bea', '\xd806fe3e52de7539341af264881c0d30df18534b60ca4430812b7979b352bd42'),
	('archive_sweep', 'held', '01a21a77-cc3f-7785-9d6c-631572fc9177', '\xd806fe3e52de7539341af264881c0d30df18534b60ca4430812b7979b352bd42');
INSERT INTO backstitch.schedule VALUES
	('archive-sweep', '*/30 * * * *', 'UTC', 'archive_sweep', '{"after_ms":1800000,"keep_months":12}', NULL, 'skip', 'latest', false, '2026-11-27 01:00:00+00', NULL, '2026-11-27 00:46:06.050561+00', '2026-11-27 00:46:06.050561+00'),
	('nightly', '0 3 * * *', 'UTC', 'archive_sweep', '{"after_ms":31536000000000}', NULL, 'skip', 'latest', false, '2026-11-27 03:00:00+00', NULL, '2026-11-27 00:46:28.328838+00', '2026-11-27 00:46:28.328838+00');
INSERT INTO backstitch.signal OVERRIDING SYSTEM VALUE VALUES
	('01a21a77-79c4-73ca-be04-e907832e1d3d', 1, 'order_changed', '{"news":"payment"}', 'evt_61f688248b054b84a682ffefbd323a9e', 10, '2026-11-27 00:46:07.609685+00'),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', 2, 'order_changed', '{"news":"payment"}', 'evt_a079dc4cda5846ae9e4e035ba783eba3', 10, '2026-11-27 00:46:08.057167+00'),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', 3, 'order_changed', '{"news":"fulfilment"}', NULL, 16, '2026-11-27 00:46:13.301887+00'),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', 4, 'order_changed', '{"news":"fulfilment"}', NULL, 20, '2026-11-27 00:46:13.38596+00'),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', 5, 'order_changed', '{"news":"payment"}', 'evt_043381ecabe24939b4d64b1f387ab62a', NULL, '2026-11-27 00:46:19.62956+00'),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', 6, 'order_changed', '{"news":"payment"}', 'evt_65c1ed1076f742328ec5e0907c965f78', NULL, '2026-11-27 00:46:19.672334+00'),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', 7, 'order_changed', '{"news":"payment"}', 'evt_2384a3fd2895412a883a361daea9cd32', 10, '2026-11-27 00:46:20.218576+00'),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', 8, 'order_changed', '{"news":"cancel"}', NULL, 12, '2026-11-27 00:46:20.665325+00'),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', 9, 'order_changed', '{"news":"refund"}', 'evt_712b1febd672415ebeb002379753c0b2', NULL, '2026-11-27 00:46:21.149047+00'),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', 10, 'order_changed', '{"news":"payment"}', 'evt_fc67fcd9e1014f249f9dca62192facb6', 10, '2026-11-27 00:46:21.187053+00'),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', 11, 'order_changed', '{"news":"payment"}', 'evt_d61d58acd3c14f67b4ad5fca05755164', 10, '2026-11-27 00:46:21.865997+00'),
	('01a21a77-b517-7725-b750-2303052c14c5', 12, 'order_changed', '{"news":"payment"}', 'evt_dda6763289a141aa974ec29ece46ec54', 10, '2026-11-27 00:46:22.725566+00'),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', 13, 'order_changed', '{"news":"payment"}', 'evt_204d3cc660714443afbece75ea974210', 7, '2026-11-27 00:46:23.353154+00'),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', 14, 'order_changed', '{"news":"payment"}', 'evt_d30484d6d2d7446ebae910e5802769aa', 10, '2026-11-27 00:46:51.263281+00');
INSERT INTO backstitch.step_2026_11_23 VALUES
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.370619+00', '2026-11-27 00:46:07.396788+00', 0, 0, 0, 1, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.405406+00', '2026-11-27 00:46:07.416221+00', 1, 1, 1, 1, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.455622+00', '2026-11-27 00:46:07.46751+00', 2, 2, 2, 1, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.46751+00', '2026-11-27 00:46:07.498733+00', 3, 3, 3, 1, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","amount":3000,"currency":"EUR","token":"tok_ok"}', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","intent_id":"pi_041da3bf20764068b40a9e60a09a3b64"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.535833+00', '2026-11-27 00:46:07.545802+00', 4, 4, 4, 1, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","intent_id":"pi_041da3bf20764068b40a9e60a09a3b64"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.545802+00', '2026-11-27 00:46:07.577817+00', 5, 5, 5, 1, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","intent_id":"pi_041da3bf20764068b40a9e60a09a3b64","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:07.347095+00', NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.577817+00', '2026-11-27 00:46:07.577817+00', 6, 6, 6, 1, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.628226+00', '2026-11-27 00:46:07.706284+00', 7, 7, 7, 1, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:07.659850Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.724842+00', '2026-11-27 00:46:07.73677+00', 8, 8, 8, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.724862+00', '2026-11-27 00:46:07.748751+00', 9, 9, 8, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.748751+00', '2026-11-27 00:46:07.804604+00', 10, 10, 10, 1, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2026-11-27 00:46:09.65985+00', NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.843122+00', '2026-11-27 00:46:07.868762+00', 11, 11, 11, 1, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","refund_window_ms":2000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:07.902237+00', '2026-11-27 00:46:07.916493+00', 0, 0, 0, 2, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:07.946458+00', '2026-11-27 00:46:07.949023+00', 1, 1, 1, 2, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:07.95886+00', '2026-11-27 00:46:07.978013+00', 2, 2, 2, 2, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:07.978013+00', '2026-11-27 00:46:07.996843+00', 3, 3, 3, 2, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","amount":3000,"currency":"EUR","token":"tok_ok"}', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","intent_id":"pi_990a51d27a3f4ab7878342e188bc09de"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.006577+00', '2026-11-27 00:46:08.034395+00', 4, 4, 4, 2, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","intent_id":"pi_990a51d27a3f4ab7878342e188bc09de"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.034395+00', '2026-11-27 00:46:08.050006+00', 5, 5, 5, 2, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","intent_id":"pi_990a51d27a3f4ab7878342e188bc09de","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:07.87334+00', NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.050006+00', '2026-11-27 00:46:08.050006+00', 6, 6, 6, 2, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.05369+00', '2026-11-27 00:46:08.07779+00', 7, 7, 7, 2, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:08.072758Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.117774+00', '2026-11-27 00:46:08.118547+00', 9, 8, 8, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.11743+00', '2026-11-27 00:46:08.123178+00', 8, 9, 8, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.123178+00', '2026-11-27 00:46:08.144759+00', 10, 10, 10, 2, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2026-11-27 00:46:10.072758+00', NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.173424+00', '2026-11-27 00:46:08.185912+00', 11, 11, 11, 2, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","refund_window_ms":2000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:07.868762+00', '2026-11-27 00:46:09.70209+00', 12, 12, 12, 1, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:09.65985+00', NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:09.714317+00', '2026-11-27 00:46:09.71601+00', 13, 13, 13, 1, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","refund_window_ms":2000}', '{"state":"processing","reached":["processing"]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:09.721181+00', '2026-11-27 00:46:09.722257+00', 14, 14, 14, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"processing","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:09.725128+00', '2026-11-27 00:46:09.741024+00', 15, 15, 14, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"processing","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:08.185912+00', '2026-11-27 00:46:10.123921+00', 12, 12, 12, 2, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:10.072758+00', NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:10.142419+00', '2026-11-27 00:46:10.154126+00', 13, 13, 13, 2, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","refund_window_ms":2000}', '{"state":"processing","reached":["processing"]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:10.173424+00', '2026-11-27 00:46:10.174015+00', 15, 14, 14, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","about":"processing","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:10.193068+00', NULL, 16, NULL, 16, 2, 0, 2, NULL, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', '2026-11-27 00:46:10.176625+00', '2026-11-27 00:46:10.193068+00', 14, 15, 14, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","about":"processing","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:09.741024+00', '2026-11-27 00:46:13.318768+00', 16, 16, 16, 1, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"fulfilment"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.326389+00', '2026-11-27 00:46:13.327733+00', 17, 17, 17, 1, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","refund_window_ms":2000}', '{"state":"shipped","reached":["shipped"]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.33722+00', '2026-11-27 00:46:13.349246+00', 18, 18, 18, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"shipped","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.337414+00', '2026-11-27 00:46:13.36147+00', 19, 19, 18, 1, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"shipped","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.36147+00', '2026-11-27 00:46:13.403935+00', 20, 20, 20, 2, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"fulfilment"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.414436+00', '2026-11-27 00:46:13.418468+00', 21, 21, 21, 2, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","refund_window_ms":2000}', '{"state":"delivered","reached":["delivered"]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.425204+00', '2026-11-27 00:46:13.425913+00', 22, 22, 22, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"delivered","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.425356+00', '2026-11-27 00:46:13.441262+00', 23, 23, 22, 2, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","about":"delivered","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e907832e1d3d', '2026-11-27 00:46:13.447568+00', '2026-11-27 00:46:13.481143+00', 24, 24, 24, 2, 0, 0, 1, 1, 0, false, 'archive', '{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9"}', '"delivered"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.430084+00', '2026-11-27 00:46:19.447182+00', 0, 0, 0, 4, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.477213+00', '2026-11-27 00:46:19.478326+00', 1, 1, 1, 4, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.502521+00', '2026-11-27 00:46:19.519266+00', 2, 2, 2, 4, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.519266+00', '2026-11-27 00:46:19.54077+00', 3, 3, 3, 4, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","amount":3000,"currency":"EUR","token":"tok_declined"}', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","intent_id":"pi_dc746962ab10437a9134d5a2fa2ef031"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.557024+00', '2026-11-27 00:46:19.573707+00', 4, 4, 4, 4, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","intent_id":"pi_dc746962ab10437a9134d5a2fa2ef031"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.573707+00', '2026-11-27 00:46:19.599411+00', 5, 5, 5, 4, 0, 0, 2, 1, 0, true, 'charge', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","intent_id":"pi_dc746962ab10437a9134d5a2fa2ef031","amount":3000,"currency":"EUR"}', NULL, '{"code":"payment_declined","message":"Your card was declined."}', NULL, '2126-11-03 00:46:19.397218+00', NULL, NULL, NULL, '{"{\"attempt\":1,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:19.584984Z\",\"ended_at\":\"2026-11-27T00:46:19.586895Z\",\"error\":{\"code\":\"payment_declined\",\"message\":\"Your card was declined.\"}}"}'),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.618806+00', '2026-11-27 00:46:19.655163+00', 6, 6, 6, 4, 0, 0, 1, 1, 0, false, 'give_up', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","reason":"payment_failed","payment":"failed"}', '"payment_failed"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.320092+00', '2026-11-27 00:46:20.424761+00', 10, 10, 10, 3, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2226-10-10 00:46:20.254754+00', NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.655163+00', '2026-11-27 00:46:19.690497+00', 3, NULL, 3, 4, 1, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","amount":3000,"currency":"EUR","token":"tok_declined"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.690497+00', '2026-11-27 00:46:19.729751+00', 2, NULL, 2, 4, 1, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', NULL, NULL, NULL, NULL, NULL, '{3}', NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.473347+00', '2026-11-27 00:46:20.474396+00', 11, 11, 11, 3, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","refund_window_ms":6307200000000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.729751+00', '2026-11-27 00:46:19.758172+00', 1, NULL, 1, 4, 1, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', NULL, NULL, NULL, NULL, NULL, '{3,2}', NULL, NULL),
	('01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', '2026-11-27 00:46:19.758172+00', '2026-11-27 00:46:19.782379+00', 0, NULL, 0, 4, 1, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa"}', NULL, NULL, NULL, NULL, NULL, '{3,2,1}', NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.064994+00', '2026-11-27 00:46:20.082874+00', 0, 0, 0, 3, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.092832+00', '2026-11-27 00:46:20.093335+00', 1, 1, 1, 3, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.099638+00', '2026-11-27 00:46:20.121713+00', 2, 2, 2, 3, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.121713+00', '2026-11-27 00:46:20.129268+00', 3, 3, 3, 3, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","amount":3000,"currency":"EUR","token":"tok_ok"}', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.167232+00', '2026-11-27 00:46:20.171579+00', 4, 4, 4, 3, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.171579+00', '2026-11-27 00:46:20.241448+00', 5, 5, 5, 3, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:20.021132+00', NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.241448+00', '2026-11-27 00:46:20.241448+00', 6, 6, 6, 3, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.257103+00', '2026-11-27 00:46:20.260516+00', 7, 7, 7, 3, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:20.254754Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.287569+00', '2026-11-27 00:46:20.288972+00', 8, 8, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.474396+00', '2026-11-27 00:46:20.879573+00', 12, 12, 12, 4, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"cancel"}', NULL, NULL, '2226-10-10 00:46:20.254754+00', NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.903158+00', '2026-11-27 00:46:21.022705+00', 13, 13, 13, 4, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","refund_window_ms":6307200000000}', '{"state":"cancelling","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.047244+00', '2026-11-27 00:46:21.047915+00', 1, 1, 1, 3, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.04679+00', '2026-11-27 00:46:21.05196+00', 14, 14, 14, 4, 0, 0, 1, 1, 0, false, 'restock', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '"released"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.137563+00', '2026-11-27 00:46:21.145926+00', 16, 16, 16, 4, 0, 0, 1, 1, 0, false, 'refund', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68","no":1,"amount":2100,"currency":"EUR"}', '{"refund_id":"re_cb29492176434d439cefaf16071b18b1","status":"succeeded"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.150372+00', '2026-11-27 00:46:21.152209+00', 4, 4, 4, 3, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","intent_id":"pi_6ae0c6eb053f4cb99694682db57cf63d"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.151966+00', '2026-11-27 00:46:21.171193+00', 17, 17, 17, 4, 0, 0, 1, 1, 0, false, 'record_refund', '{"due":{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68","no":1,"amount":2100,"currency":"EUR"},"made":{"refund_id":"re_cb29492176434d439cefaf16071b18b1","status":"succeeded"}}', '"partially_refunded"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.194952+00', '2026-11-27 00:46:21.19592+00', 18, 18, 18, 4, 0, 0, 1, 1, 0, false, 'fix_refund', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.152209+00', '2026-11-27 00:46:21.196937+00', 5, 5, 5, 3, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","intent_id":"pi_6ae0c6eb053f4cb99694682db57cf63d","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:20.918935+00', NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:20.306177+00', '2026-11-27 00:46:20.320092+00', 9, 9, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:20.989434+00', '2026-11-27 00:46:21.024799+00', 0, 0, 0, 3, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.081996+00', '2026-11-27 00:46:21.10218+00', 15, 15, 15, 4, 0, 0, 1, 1, 0, false, 'fix_refund', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","intent_id":"pi_74484c0af9784f05b4c853a36209cb68","no":1,"amount":2100,"currency":"EUR"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.063536+00', '2026-11-27 00:46:21.096081+00', 2, 2, 2, 3, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.096081+00', '2026-11-27 00:46:21.141788+00', 3, 3, 3, 3, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","amount":3000,"currency":"EUR","token":"tok_ok"}', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","intent_id":"pi_6ae0c6eb053f4cb99694682db57cf63d"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.196937+00', '2026-11-27 00:46:21.196937+00', 6, 6, 6, 3, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.239925+00', '2026-11-27 00:46:21.249909+00', 22, 22, 22, 4, 0, 0, 1, 1, 0, false, 'archive', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '"cancelled"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.240101+00', '2026-11-27 00:46:21.255389+00', 8, 8, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.23815+00', '2026-11-27 00:46:21.2574+00', 9, 9, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.2574+00', '2026-11-27 00:46:21.271732+00', 10, 10, 10, 3, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2226-10-10 00:46:21.20798+00', NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.549339+00', '2026-11-27 00:46:22.556485+00', 0, 0, 0, 3, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.716015+00', '2026-11-27 00:46:22.716015+00', 6, 6, 6, 3, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.741353+00', '2026-11-27 00:46:22.77392+00', 7, 7, 7, 3, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:22.768950Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.800278+00', '2026-11-27 00:46:22.800827+00', 9, 8, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.800374+00', '2026-11-27 00:46:22.817154+00', 8, 9, 8, 3, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.817154+00', '2026-11-27 00:46:22.825929+00', 10, 10, 10, 3, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2226-10-10 00:46:22.76895+00', NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:23.135882+00', NULL, 0, NULL, 0, 3, 1, 0, NULL, 0, 0, true, 'announce', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', NULL, NULL, NULL, NULL, NULL, '{5,3,2,1}', NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:23.135882+00', NULL, 1, NULL, 1, 3, 1, 0, NULL, 0, 0, true, 'open_order', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', NULL, NULL, NULL, NULL, NULL, '{5,3,2}', NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:23.135882+00', NULL, 2, NULL, 2, 3, 1, 0, NULL, 0, 0, true, 'reserve_stock', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', NULL, NULL, NULL, NULL, NULL, '{5,3}', NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:23.135882+00', NULL, 3, NULL, 3, 3, 1, 0, NULL, 0, 0, true, 'create_intent', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","amount":3000,"currency":"EUR","token":"tok_refund_fails"}', NULL, NULL, NULL, NULL, NULL, '{5}', NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.388388+00', '2026-11-27 00:46:25.424052+00', 9, 9, 9, 3, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:25.385316+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.283799+00', '2026-11-27 00:46:23.29601+00', 4, 4, 4, 4, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.29601+00', '2026-11-27 00:46:23.326692+00', 5, 5, 5, 4, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7","amount":3000,"currency":"EUR"}', '{"status":"processing"}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.383328+00', '2026-11-27 00:46:23.388388+00', 8, 8, 8, 3, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:23.385316Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.211919+00', '2026-11-27 00:46:51.217755+00', 2, 2, 2, 4, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.217755+00', '2026-11-27 00:46:51.246244+00', 3, 3, 3, 4, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","amount":3000,"currency":"EUR","token":"tok_refund_fails"}', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","intent_id":"pi_18661eb79c424a4aa3cceb955c8e1bfc"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.200402+00', '2026-11-27 00:46:21.201293+00', 19, 19, 19, 4, 0, 0, 1, 1, 0, false, 'close_order', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9"}', '"cancelled"', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO backstitch.step_2026_11_23 VALUES
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.702184+00', '2026-11-27 00:46:21.712191+00', 1, 1, 1, 4, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.870965+00', '2026-11-27 00:46:21.900465+00', 7, 7, 7, 4, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:21.888715Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.381342+00', '2026-11-27 00:46:51.382+00', 11, 11, 11, 4, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","refund_window_ms":6307200000000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.382+00', '2026-11-27 00:46:51.690733+00', 12, NULL, 12, 4, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2226-10-10 00:46:51.296851+00', NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.20547+00', '2026-11-27 00:46:21.206106+00', 20, 20, 20, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","about":"cancelled","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab962f7f4e04', '2026-11-27 00:46:21.205197+00', '2026-11-27 00:46:21.217806+00', 21, 21, 20, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","about":"cancelled","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.66475+00', '2026-11-27 00:46:21.673337+00', 0, 0, 0, 4, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.864107+00', '2026-11-27 00:46:21.864107+00', 6, 6, 6, 4, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.925428+00', '2026-11-27 00:46:21.928277+00', 9, 8, 8, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.944978+00', '2026-11-27 00:46:21.993201+00', 8, 9, 8, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.993201+00', '2026-11-27 00:46:22.029823+00', 10, 10, 10, 4, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2226-10-10 00:46:21.888715+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.176074+00', '2026-11-27 00:46:23.182169+00', 0, 0, 0, 4, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.326692+00', '2026-11-27 00:46:23.350501+00', 6, 6, 6, 4, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:23.345150Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.350501+00', '2026-11-27 00:46:23.383328+00', 7, 7, 7, 3, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2026-11-27 00:46:24.34515+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:37.592746+00', '2026-11-27 00:46:37.613858+00', 14, 14, 14, 4, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:37.613093Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.161045+00', '2026-11-27 00:46:51.170254+00', 0, 0, 0, 4, 0, 0, 1, 1, 0, true, 'announce', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.26911+00', '2026-11-27 00:46:51.26911+00', 6, 6, 6, 4, 0, 4, 1, 0, 0, false, 'pivot', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.31338+00', '2026-11-27 00:46:51.321761+00', 9, 8, 8, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","about":"placed","to":"seller"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.322803+00', '2026-11-27 00:46:51.341402+00', 8, 9, 8, 4, 0, 0, 1, 1, 0, false, 'notify', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","about":"placed","to":"customer"}', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.341402+00', '2026-11-27 00:46:51.369466+00', 10, 10, 10, 4, 0, 2, 1, 0, 0, false, 'order_changed', NULL, '{"news":"payment"}', NULL, NULL, '2226-10-10 00:46:51.296851+00', NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.690733+00', NULL, 0, NULL, 0, 4, 1, 0, NULL, 0, 0, true, 'announce', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', NULL, NULL, NULL, NULL, NULL, '{5,3,2,1}', NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.690733+00', NULL, 1, NULL, 1, 4, 1, 0, NULL, 0, 0, true, 'open_order', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', NULL, NULL, NULL, NULL, NULL, '{5,3,2}', NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.690733+00', NULL, 2, NULL, 2, 4, 1, 0, NULL, 0, 0, true, 'reserve_stock', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', NULL, NULL, NULL, NULL, NULL, '{5,3}', NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.690733+00', NULL, 3, NULL, 3, 4, 1, 0, NULL, 0, 0, true, 'create_intent', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","amount":3000,"currency":"EUR","token":"tok_refund_fails"}', NULL, NULL, NULL, NULL, NULL, '{5}', NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:37.613858+00', '2026-11-27 00:46:53.719153+00', 15, 15, 15, 3, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:53.613093+00', NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.207782+00', '2026-11-27 00:46:21.20942+00', 7, 7, 7, 3, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:21.207980Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.290993+00', NULL, 12, NULL, 12, 3, 0, 2, NULL, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2226-10-10 00:46:21.20798+00', NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2026-11-27 00:46:21.29037+00', '2026-11-27 00:46:21.290993+00', 11, 11, 11, 3, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","refund_window_ms":6307200000000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.729313+00', '2026-11-27 00:46:21.737086+00', 2, 2, 2, 4, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.737086+00', '2026-11-27 00:46:21.835999+00', 3, 3, 3, 4, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","amount":3000,"currency":"EUR","token":"tok_ok"}', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","intent_id":"pi_b174735de1aa481a87a47ce8184acad4"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:22.144805+00', NULL, 12, NULL, 12, 4, 0, 2, NULL, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2226-10-10 00:46:21.888715+00', NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:22.087054+00', '2026-11-27 00:46:22.144805+00', 11, 11, 11, 4, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","refund_window_ms":6307200000000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.1783+00', '2026-11-27 00:46:51.201422+00', 1, 1, 1, 4, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.283747+00', '2026-11-27 00:46:51.304027+00', 7, 7, 7, 4, 0, 0, 1, 1, 0, false, 'confirm', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","paid":{"amount":3000,"currency":"EUR"}}', '{"outcome":"placed","at":"2026-11-27T00:46:51.296851Z"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.844814+00', '2026-11-27 00:46:21.84983+00', 4, 4, 4, 4, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","intent_id":"pi_b174735de1aa481a87a47ce8184acad4"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b1cc-715a-852e-d67afa2567a8', '2026-11-27 00:46:21.84983+00', '2026-11-27 00:46:21.864107+00', 5, 5, 5, 4, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","intent_id":"pi_b174735de1aa481a87a47ce8184acad4","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:21.653033+00', NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.654427+00', '2026-11-27 00:46:22.68593+00', 4, 4, 4, 3, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","intent_id":"pi_316707e46b75409fb121517286360560"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.68593+00', '2026-11-27 00:46:22.716015+00', 5, 5, 5, 3, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","intent_id":"pi_316707e46b75409fb121517286360560","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:22.532914+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.214034+00', '2026-11-27 00:46:23.221507+00', 2, 2, 2, 4, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.221507+00', '2026-11-27 00:46:23.272804+00', 3, 3, 3, 4, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","amount":3000,"currency":"EUR","token":"tok_late_success"}', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.254283+00', '2026-11-27 00:46:51.255268+00', 4, 4, 4, 4, 0, 0, 1, 1, 0, false, 'begin_payment', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","intent_id":"pi_18661eb79c424a4aa3cceb955c8e1bfc"}', '"pending"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:51.255268+00', '2026-11-27 00:46:51.26911+00', 5, 5, 5, 4, 0, 0, 1, 1, 0, true, 'charge', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","intent_id":"pi_18661eb79c424a4aa3cceb955c8e1bfc","amount":3000,"currency":"EUR"}', '{"status":"captured","amount":3000,"currency":"EUR"}', NULL, NULL, '2126-11-03 00:46:51.137021+00', NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.586072+00', '2026-11-27 00:46:22.58695+00', 1, 1, 1, 3, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:23.193117+00', '2026-11-27 00:46:23.207311+00', 1, 1, 1, 4, 0, 0, 1, 1, 0, true, 'open_order', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437"}', '"created"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.619158+00', '2026-11-27 00:46:22.629617+00', 2, 2, 2, 3, 0, 0, 1, 1, 0, true, 'reserve_stock', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb"}', '"held"', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.629617+00', '2026-11-27 00:46:22.644817+00', 3, 3, 3, 3, 0, 0, 1, 1, 0, true, 'create_intent', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","amount":3000,"currency":"EUR","token":"tok_refund_fails"}', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","intent_id":"pi_316707e46b75409fb121517286360560"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.849397+00', '2026-11-27 00:46:22.857621+00', 11, 11, 11, 3, 0, 0, 1, 1, 0, false, 'follow_up', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","refund_window_ms":6307200000000}', '{"state":"placed","reached":[]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:22.857621+00', '2026-11-27 00:46:23.135882+00', 12, NULL, 12, 3, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2226-10-10 00:46:22.76895+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:25.437338+00', '2026-11-27 00:46:29.472393+00', 11, 11, 11, 3, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:29.435376+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:25.424052+00', '2026-11-27 00:46:25.437338+00', 10, 10, 10, 3, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:25.435376Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:29.472393+00', '2026-11-27 00:46:29.488779+00', 12, 12, 12, 3, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:29.482863Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:29.488779+00', '2026-11-27 00:46:37.592746+00', 13, 13, 13, 4, 0, 2, 4, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:46:37.482863+00', NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-2303052c14c5', '2026-11-27 00:46:50.405134+00', '2026-11-27 00:46:50.485624+00', 5, NULL, 5, 4, 1, 0, 2, 8, 0, true, 'charge', '{"order_id":"01a21a77-b517-7725-b750-230268de6acb","intent_id":"pi_316707e46b75409fb121517286360560","amount":3000,"currency":"EUR"}', NULL, '{"code":"gateway_rejected","message":"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund."}', NULL, NULL, NULL, NULL, NULL, '{"{\"attempt\":1,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:23.149061Z\",\"ended_at\":\"2026-11-27T00:46:23.176456Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":2,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:23.429955Z\",\"ended_at\":\"2026-11-27T00:46:23.486006Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":3,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:23.971831Z\",\"ended_at\":\"2026-11-27T00:46:23.997703Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":4,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:24.905908Z\",\"ended_at\":\"2026-11-27T00:46:24.933377Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":5,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:26.695397Z\",\"ended_at\":\"2026-11-27T00:46:26.725177Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":6,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:30.446685Z\",\"ended_at\":\"2026-11-27T00:46:30.512230Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":7,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:37.375263Z\",\"ended_at\":\"2026-11-27T00:46:37.415932Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":8,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:50.405323Z\",\"ended_at\":\"2026-11-27T00:46:50.475075Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}"}'),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:53.719153+00', '2026-11-27 00:46:53.726949+00', 16, 16, 16, 3, 0, 0, 1, 1, 0, false, 'check_payment', '{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","intent_id":"pi_967db6147d654a4f8e35ef6605ed33e7"}', '{"at":"2026-11-27T00:46:53.726289Z","settled":{"status":"open"}}', NULL, NULL, '2126-11-03 00:46:23.161036+00', NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:46:53.726949+00', NULL, 17, NULL, 17, 3, 0, 2, NULL, 0, 0, false, 'order_changed', NULL, NULL, NULL, NULL, '2026-11-27 00:47:23.726289+00', NULL, NULL, NULL, NULL),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:46:59.290304+00', NULL, 5, NULL, 5, 4, 1, 0, NULL, 6, 0, true, 'charge', '{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","intent_id":"pi_18661eb79c424a4aa3cceb955c8e1bfc","amount":3000,"currency":"EUR"}', NULL, '{"code":"gateway_rejected","message":"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund."}', NULL, NULL, '2026-11-27 00:47:06.237153+00', NULL, NULL, '{"{\"attempt\":1,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:51.690834Z\",\"ended_at\":\"2026-11-27T00:46:51.700544Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":2,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:51.906872Z\",\"ended_at\":\"2026-11-27T00:46:51.945210Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":3,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:52.427613Z\",\"ended_at\":\"2026-11-27T00:46:52.459430Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":4,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:53.449474Z\",\"ended_at\":\"2026-11-27T00:46:53.480918Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":5,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:55.342503Z\",\"ended_at\":\"2026-11-27T00:46:55.406394Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}","{\"attempt\":6,\"outcome\":\"failed\",\"started_at\":\"2026-11-27T00:46:59.290546Z\",\"ended_at\":\"2026-11-27T00:46:59.306471Z\",\"error\":{\"code\":\"gateway_rejected\",\"message\":\"the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.\"}}"}');
INSERT INTO backstitch.timer VALUES
	('01a21a77-7bd6-77f3-91cc-4897f8dcfae0', 'infinity'),
	('01a21a77-aece-7218-b0ed-c87cb4b8c58e', '2226-10-10 00:46:21.20798+00'),
	('01a21a77-cba0-717f-9f00-94e01cfa7bea', '2126-01-01 00:00:00+00'),
	('01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', '2026-11-27 00:47:23.726289+00'),
	('01a21a78-24ea-74fd-8fc1-8b0292260d4c', '2026-11-27 00:47:06.237153+00');
INSERT INTO backstitch.worker OVERRIDING SYSTEM VALUE VALUES
	(1, 'vm:26261', '{default}', '{1,2,3}', 500, '2026-11-27 00:46:06.056029+00'),
	(2, 'vm:26836', '{default}', '{1,2,3}', 500, '2026-11-27 00:46:18.292685+00');
INSERT INTO backstitch.workflow OVERRIDING SYSTEM VALUE VALUES
	(1, 'archive_sweep', 1, '2026-11-27 00:46:06.038042+00', '{token}'),
	(2, 'late_payment', 1, '2026-11-27 00:46:06.041532+00', '{token}'),
	(3, 'order', 1, '2026-11-27 00:46:06.042694+00', '{token}');
INSERT INTO shop.holds VALUES
	('01a21a77-79c4-73ca-be04-e906cc9716e9', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:07.454984+00', '2026-11-27 00:46:07.657221+00'),
	('01a21a77-79c4-73ca-be04-e906cc9716e9', 'tea', 1, 2, 'committed', '2026-11-27 00:46:07.454984+00', '2026-11-27 00:46:07.657221+00'),
	('01a21a77-7bd6-77f3-91cc-48967794d9f1', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:07.974965+00', '2026-11-27 00:46:08.068917+00'),
	('01a21a77-7bd6-77f3-91cc-48967794d9f1', 'tea', 1, 2, 'committed', '2026-11-27 00:46:07.974965+00', '2026-11-27 00:46:08.068917+00'),
	('01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'coffee', 1, 1, 'released', '2026-11-27 00:46:19.502472+00', '2026-11-27 00:46:19.713147+00'),
	('01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'tea', 1, 2, 'released', '2026-11-27 00:46:19.502472+00', '2026-11-27 00:46:19.713147+00'),
	('01a21a77-ab4d-700b-8744-ab95c7506ef9', 'coffee', 1, 1, 'released', '2026-11-27 00:46:20.117828+00', '2026-11-27 00:46:21.049249+00'),
	('01a21a77-ab4d-700b-8744-ab95c7506ef9', 'tea', 1, 2, 'released', '2026-11-27 00:46:20.117828+00', '2026-11-27 00:46:21.049249+00'),
	('01a21a77-aece-7218-b0ed-c87b7c82afa8', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:21.082765+00', '2026-11-27 00:46:21.207681+00'),
	('01a21a77-aece-7218-b0ed-c87b7c82afa8', 'tea', 1, 2, 'committed', '2026-11-27 00:46:21.082765+00', '2026-11-27 00:46:21.207681+00'),
	('01a21a77-b1cc-715a-852e-d6790468cd02', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:21.735759+00', '2026-11-27 00:46:21.886163+00'),
	('01a21a77-b1cc-715a-852e-d6790468cd02', 'tea', 1, 2, 'committed', '2026-11-27 00:46:21.735759+00', '2026-11-27 00:46:21.886163+00'),
	('01a21a77-b517-7725-b750-230268de6acb', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:22.617085+00', '2026-11-27 00:46:22.761017+00'),
	('01a21a77-b517-7725-b750-230268de6acb', 'tea', 1, 2, 'committed', '2026-11-27 00:46:22.617085+00', '2026-11-27 00:46:22.761017+00'),
	('01a21a77-b7ac-743d-a3bd-9b7cacd34437', 'coffee', 1, 1, 'held', '2026-11-27 00:46:23.218732+00', '2026-11-27 00:46:23.218732+00'),
	('01a21a77-b7ac-743d-a3bd-9b7cacd34437', 'tea', 1, 2, 'held', '2026-11-27 00:46:23.218732+00', '2026-11-27 00:46:23.218732+00'),
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 'coffee', 1, 1, 'committed', '2026-11-27 00:46:51.211194+00', '2026-11-27 00:46:51.294411+00'),
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 'tea', 1, 2, 'committed', '2026-11-27 00:46:51.211194+00', '2026-11-27 00:46:51.294411+00');
INSERT INTO shop.items VALUES
	('coffee', 'coffee', 1000, 'EUR', 94, 1, '2026-11-27 00:46:07.255466+00'),
	('tea', 'tea', 1000, 'EUR', 88, 2, '2026-11-27 00:46:07.208873+00');
INSERT INTO shop.order_archive_2026_11 VALUES
	('01a21a77-79c4-73ca-be04-e906cc9716e9', 'delivered', '2026-11-27 00:46:07.328937+00', '2026-11-27 00:46:13.477547+00', '{"id": "01a21a77-79c4-73ca-be04-e906cc9716e9", "items": [{"sku": "coffee", "price": 1000, "quantity": 1}, {"sku": "tea", "price": 1000, "quantity": 2}], "state": "delivered", "total": 3000, "cancel": null, "run_id": "01a21a77-79c4-73ca-be04-e907832e1d3d", "archived": true, "captured": 3000, "currency": "EUR", "delivery": {"address": "1 High Street"}, "refunded": 0, "intent_id": "pi_041da3bf20764068b40a9e60a09a3b64", "placed_at": "2026-11-27T00:46:07.659850Z", "created_at": "2026-11-27T00:46:07.328937Z", "updated_at": "2026-11-27T00:46:13.416885Z", "customer_id": "delivered", "stock_state": "committed", "delivered_at": "2026-11-27T00:46:13.384555Z", "refund_tiers": "1s:70,2s:40", "cancel_reason": null, "dispatched_at": "2026-11-27T00:46:13.299724Z", "payment_state": "captured"}'),
	('01a21a77-ab4d-700b-8744-ab95c7506ef9', 'refunded', '2026-11-27 00:46:20.016968+00', '2026-11-27 00:46:21.236977+00', '{"id": "01a21a77-ab4d-700b-8744-ab95c7506ef9", "items": [{"sku": "coffee", "price": 1000, "quantity": 1}, {"sku": "tea", "price": 1000, "quantity": 2}], "state": "cancelled", "total": 3000, "cancel": {"at": "2026-11-27T00:46:20.657323Z", "bp": 7000, "by": "customer", "note": null}, "run_id": "01a21a77-ab4d-700b-8744-ab962f7f4e04", "archived": true, "captured": 3000, "currency": "EUR", "delivery": {"address": "1 High Street"}, "refunded": 2100, "intent_id": "pi_74484c0af9784f05b4c853a36209cb68", "placed_at": "2026-11-27T00:46:20.254754Z", "created_at": "2026-11-27T00:46:20.016968Z", "updated_at": "2026-11-27T00:46:21.199511Z", "customer_id": "refunded", "stock_state": "released", "delivered_at": null, "refund_tiers": "99years11months5days9h50m24s:70,199years10months10days20h24m:40", "cancel_reason": "customer", "dispatched_at": null, "payment_state": "partially_refunded"}');
INSERT INTO shop.order_items VALUES
	('01a21a77-7bd6-77f3-91cc-48967794d9f1', 'coffee', 1, 1000),
	('01a21a77-7bd6-77f3-91cc-48967794d9f1', 'tea', 2, 1000),
	('01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'coffee', 1, 1000),
	('01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'tea', 2, 1000),
	('01a21a77-aece-7218-b0ed-c87b7c82afa8', 'coffee', 1, 1000),
	('01a21a77-aece-7218-b0ed-c87b7c82afa8', 'tea', 2, 1000),
	('01a21a77-b1cc-715a-852e-d6790468cd02', 'coffee', 1, 1000),
	('01a21a77-b1cc-715a-852e-d6790468cd02', 'tea', 2, 1000),
	('01a21a77-b517-7725-b750-230268de6acb', 'coffee', 1, 1000),
	('01a21a77-b517-7725-b750-230268de6acb', 'tea', 2, 1000),
	('01a21a77-b7ac-743d-a3bd-9b7cacd34437', 'coffee', 1, 1000),
	('01a21a77-b7ac-743d-a3bd-9b7cacd34437', 'tea', 2, 1000),
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 'coffee', 1, 1000),
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 'tea', 2, 1000);
INSERT INTO shop.order_keys VALUES
	('delivered', '01a21a77-79c4-73ca-be04-e906cc9716e9', '\x64240c2b7153e42f42396e57f1935c2c8d20f7f40d407f99f63761deae45b403'),
	('processing', '01a21a77-7bd6-77f3-91cc-48967794d9f1', '\xea30b3421767e0290676c20239017105edfe115ff89f68ef42f52ab7b05fbf6b'),
	('declined', '01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', '\x3bee0c5648f33d8606ed52211ac72e6ea293dbcbfd9c1e11295e3e8091fe35c0'),
	('refunded', '01a21a77-ab4d-700b-8744-ab95c7506ef9', '\xd1924cc5a65fb53ff2bc74a00842a8b530c057f0e47d2ddecbe5bb14844d28a2'),
	('placed', '01a21a77-aece-7218-b0ed-c87b7c82afa8', '\xad08b2cda47406c470589abac8eccc025ba11362329475c5f63f463993730bac'),
	('paused', '01a21a77-b1cc-715a-852e-d6790468cd02', '\x193a3c8f6f443893777a32a27597609fe3bdc4a18b6bbc518e1b72ebb718ef56'),
	('stuck', '01a21a77-b517-7725-b750-230268de6acb', '\x6ac863cb4e612b3e2342c559b646a4ba2d8281336e052f09cf60c40487644538'),
	('paying', '01a21a77-b7ac-743d-a3bd-9b7cacd34437', '\x76a928446f04fb7b1228d381c2696782538061f7d2d90609508b7e552fc8333a'),
	('compensating', '01a21a78-24ea-74fd-8fc1-8b01a0739ea7', '\xffc2a868147a2c96a3fefe1f0537a60e87e3cdb4d323809d7095cec44e7c919b');
INSERT INTO shop.orders VALUES
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', '01a21a78-24ea-74fd-8fc1-8b0292260d4c', 'compensating', 'placed', NULL, 'refund_failed', 'committed', 'EUR', 3000, 3000, 0, 'pi_18661eb79c424a4aa3cceb955c8e1bfc', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:51.130871+00', '2026-11-27 00:46:59.314785+00', '2026-11-27 00:46:51.296851+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-7bd6-77f3-91cc-48967794d9f1', '01a21a77-7bd6-77f3-91cc-4897f8dcfae0', 'processing', 'processing', NULL, 'captured', 'committed', 'EUR', 3000, 3000, 0, 'pi_990a51d27a3f4ab7878342e188bc09de', '1s:70,2s:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:07.866736+00', '2026-11-27 00:46:10.13175+00', '2026-11-27 00:46:08.072758+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-79c4-73ca-be04-e906cc9716e9', '01a21a77-79c4-73ca-be04-e907832e1d3d', 'delivered', 'delivered', NULL, 'captured', 'committed', 'EUR', 3000, 3000, 0, 'pi_041da3bf20764068b40a9e60a09a3b64', '1s:70,2s:40', NULL, NULL, NULL, NULL, '2026-11-27 00:46:07.328937+00', '2026-11-27 00:46:13.416885+00', '2026-11-27 00:46:07.65985+00', '2026-11-27 00:46:13.299724+00', '2026-11-27 00:46:13.384555+00', NULL, NULL, NULL, NULL, '2026-11-27 00:46:13.478174+00'),
	('01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', '01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3', 'declined', 'cancelled', 'payment_failed', 'failed', 'released', 'EUR', 3000, 0, 0, 'pi_dc746962ab10437a9134d5a2fa2ef031', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:19.333541+00', '2026-11-27 00:46:19.752946+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-aece-7218-b0ed-c87b7c82afa8', '01a21a77-aece-7218-b0ed-c87cb4b8c58e', 'placed', 'placed', NULL, 'captured', 'committed', 'EUR', 3000, 3000, 0, 'pi_6ae0c6eb053f4cb99694682db57cf63d', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:20.902323+00', '2026-11-27 00:46:21.208127+00', '2026-11-27 00:46:21.20798+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-ab4d-700b-8744-ab95c7506ef9', '01a21a77-ab4d-700b-8744-ab962f7f4e04', 'refunded', 'cancelled', 'customer', 'partially_refunded', 'released', 'EUR', 3000, 3000, 2100, 'pi_74484c0af9784f05b4c853a36209cb68', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', NULL, NULL, NULL, NULL, '2026-11-27 00:46:20.016968+00', '2026-11-27 00:46:21.199511+00', '2026-11-27 00:46:20.254754+00', NULL, NULL, '2026-11-27 00:46:20.657323+00', 'customer', 7000, NULL, '2026-11-27 00:46:21.23827+00'),
	('01a21a77-b1cc-715a-852e-d6790468cd02', '01a21a77-b1cc-715a-852e-d67afa2567a8', 'paused', 'placed', NULL, 'captured', 'committed', 'EUR', 3000, 3000, 0, 'pi_b174735de1aa481a87a47ce8184acad4', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:21.649237+00', '2026-11-27 00:46:21.897838+00', '2026-11-27 00:46:21.888715+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b7ac-743d-a3bd-9b7cacd34437', '01a21a77-b7ac-743d-a3bd-9b7d73af1e8e', 'paying', 'awaiting_payment', NULL, 'pending', 'held', 'EUR', 3000, 0, 0, 'pi_967db6147d654a4f8e35ef6605ed33e7', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:23.156314+00', '2026-11-27 00:46:23.293035+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('01a21a77-b517-7725-b750-230268de6acb', '01a21a77-b517-7725-b750-2303052c14c5', 'stuck', 'placed', NULL, 'refund_failed', 'committed', 'EUR', 3000, 3000, 0, 'pi_316707e46b75409fb121517286360560', '99years11months5days9h50m24s:70,199years10months10days20h24m:40', '1 High Street', NULL, NULL, NULL, '2026-11-27 00:46:22.521385+00', '2026-11-27 00:46:50.472895+00', '2026-11-27 00:46:22.76895+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO shop.refunds VALUES
	('01a21a77-ab4d-700b-8744-ab95c7506ef9', 1, 2100, 'EUR', 'succeeded', 're_cb29492176434d439cefaf16071b18b1', NULL, NULL, '2026-11-27 00:46:21.083722+00', '2026-11-27 00:46:21.169631+00'),
	('01a21a77-b517-7725-b750-230268de6acb', 1, 3000, 'EUR', 'requested', NULL, 'the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.', NULL, '2026-11-27 00:46:23.155653+00', '2026-11-27 00:46:50.475398+00'),
	('01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 1, 3000, 'EUR', 'requested', NULL, 'the gateway rejected the request (400 balance_insufficient): Your balance does not cover this refund.', NULL, '2026-11-27 00:46:51.704256+00', '2026-11-27 00:46:59.315134+00');
INSERT INTO shop.webhook_events VALUES
	('evt_61f688248b054b84a682ffefbd323a9e', 'payment_intent.succeeded', '01a21a77-79c4-73ca-be04-e906cc9716e9', 'signalled', '{"created":1795740367,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740367,"currency":"eur","id":"pi_041da3bf20764068b40a9e60a09a3b64","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-79c4-73ca-be04-e906cc9716e9","run_id":"01a21a77-79c4-73ca-be04-e907832e1d3d"},"object":"payment_intent","payment_method":"tok_ok","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_61f688248b054b84a682ffefbd323a9e","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:07+00', '2026-11-27 00:46:07.578459+00'),
	('evt_a079dc4cda5846ae9e4e035ba783eba3', 'payment_intent.succeeded', '01a21a77-7bd6-77f3-91cc-48967794d9f1', 'signalled', '{"created":1795740368,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740367,"currency":"eur","id":"pi_990a51d27a3f4ab7878342e188bc09de","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-7bd6-77f3-91cc-48967794d9f1","run_id":"01a21a77-7bd6-77f3-91cc-4897f8dcfae0"},"object":"payment_intent","payment_method":"tok_ok","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_a079dc4cda5846ae9e4e035ba783eba3","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:08+00', '2026-11-27 00:46:08.050903+00'),
	('evt_043381ecabe24939b4d64b1f387ab62a', 'payment_intent.payment_failed', '01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'signalled', '{"created":1795740379,"data":{"object":{"amount":3000,"amount_received":0,"capture_method":"automatic","created":1795740379,"currency":"eur","id":"pi_dc746962ab10437a9134d5a2fa2ef031","last_payment_error":{"code":"card_declined","decline_code":"generic_decline","message":"Your card was declined.","type":"card_error"},"livemode":false,"metadata":{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","run_id":"01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3"},"object":"payment_intent","payment_method":null,"payment_method_types":["card"],"status":"requires_payment_method"}},"id":"evt_043381ecabe24939b4d64b1f387ab62a","livemode":false,"object":"event","type":"payment_intent.payment_failed"}', '2026-11-27 00:46:19+00', '2026-11-27 00:46:19.603753+00'),
	('evt_65c1ed1076f742328ec5e0907c965f78', 'payment_intent.canceled', '01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa', 'signalled', '{"created":1795740379,"data":{"object":{"amount":3000,"amount_received":0,"capture_method":"automatic","created":1795740379,"currency":"eur","id":"pi_dc746962ab10437a9134d5a2fa2ef031","last_payment_error":{"code":"card_declined","decline_code":"generic_decline","message":"Your card was declined.","type":"card_error"},"livemode":false,"metadata":{"order_id":"01a21a77-a8c3-76ef-a6e1-9f1c3ea370fa","run_id":"01a21a77-a8c3-76ef-a6e1-9f1ddeee90c3"},"object":"payment_intent","payment_method":"tok_declined","payment_method_types":["card"],"status":"canceled"}},"id":"evt_65c1ed1076f742328ec5e0907c965f78","livemode":false,"object":"event","type":"payment_intent.canceled"}', '2026-11-27 00:46:19+00', '2026-11-27 00:46:19.670745+00'),
	('evt_2384a3fd2895412a883a361daea9cd32', 'payment_intent.succeeded', '01a21a77-ab4d-700b-8744-ab95c7506ef9', 'signalled', '{"created":1795740380,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740380,"currency":"eur","id":"pi_74484c0af9784f05b4c853a36209cb68","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","run_id":"01a21a77-ab4d-700b-8744-ab962f7f4e04"},"object":"payment_intent","payment_method":"tok_ok","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_2384a3fd2895412a883a361daea9cd32","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:20+00', '2026-11-27 00:46:20.217763+00'),
	('evt_712b1febd672415ebeb002379753c0b2', 'refund.created', '01a21a77-ab4d-700b-8744-ab95c7506ef9', 'signalled', '{"created":1795740381,"data":{"object":{"amount":2100,"created":1795740381,"currency":"eur","failure_reason":null,"id":"re_cb29492176434d439cefaf16071b18b1","metadata":{"order_id":"01a21a77-ab4d-700b-8744-ab95c7506ef9","refund_no":"1"},"object":"refund","payment_intent":"pi_74484c0af9784f05b4c853a36209cb68","status":"succeeded"}},"id":"evt_712b1febd672415ebeb002379753c0b2","livemode":false,"object":"event","type":"refund.created"}', '2026-11-27 00:46:21+00', '2026-11-27 00:46:21.147846+00'),
	('evt_fc67fcd9e1014f249f9dca62192facb6', 'payment_intent.succeeded', '01a21a77-aece-7218-b0ed-c87b7c82afa8', 'signalled', '{"created":1795740381,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740381,"currency":"eur","id":"pi_6ae0c6eb053f4cb99694682db57cf63d","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-aece-7218-b0ed-c87b7c82afa8","run_id":"01a21a77-aece-7218-b0ed-c87cb4b8c58e"},"object":"payment_intent","payment_method":"tok_ok","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_fc67fcd9e1014f249f9dca62192facb6","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:21+00', '2026-11-27 00:46:21.186001+00'),
	('evt_d61d58acd3c14f67b4ad5fca05755164', 'payment_intent.succeeded', '01a21a77-b1cc-715a-852e-d6790468cd02', 'signalled', '{"created":1795740381,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740381,"currency":"eur","id":"pi_b174735de1aa481a87a47ce8184acad4","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-b1cc-715a-852e-d6790468cd02","run_id":"01a21a77-b1cc-715a-852e-d67afa2567a8"},"object":"payment_intent","payment_method":"tok_ok","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_d61d58acd3c14f67b4ad5fca05755164","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:21+00', '2026-11-27 00:46:21.864789+00'),
	('evt_dda6763289a141aa974ec29ece46ec54', 'payment_intent.succeeded', '01a21a77-b517-7725-b750-230268de6acb', 'signalled', '{"created":1795740382,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740382,"currency":"eur","id":"pi_316707e46b75409fb121517286360560","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-b517-7725-b750-230268de6acb","run_id":"01a21a77-b517-7725-b750-2303052c14c5"},"object":"payment_intent","payment_method":"tok_refund_fails","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_dda6763289a141aa974ec29ece46ec54","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:22+00', '2026-11-27 00:46:22.713242+00'),
	('evt_204d3cc660714443afbece75ea974210', 'payment_intent.processing', '01a21a77-b7ac-743d-a3bd-9b7cacd34437', 'signalled', '{"created":1795740383,"data":{"object":{"amount":3000,"amount_received":0,"capture_method":"automatic","created":1795740383,"currency":"eur","id":"pi_967db6147d654a4f8e35ef6605ed33e7","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a77-b7ac-743d-a3bd-9b7cacd34437","run_id":"01a21a77-b7ac-743d-a3bd-9b7d73af1e8e"},"object":"payment_intent","payment_method":"tok_late_success","payment_method_types":["card"],"status":"processing"}},"id":"evt_204d3cc660714443afbece75ea974210","livemode":false,"object":"event","type":"payment_intent.processing"}', '2026-11-27 00:46:23+00', '2026-11-27 00:46:23.344514+00'),
	('evt_d30484d6d2d7446ebae910e5802769aa', 'payment_intent.succeeded', '01a21a78-24ea-74fd-8fc1-8b01a0739ea7', 'signalled', '{"created":1795740411,"data":{"object":{"amount":3000,"amount_received":3000,"capture_method":"automatic","created":1795740411,"currency":"eur","id":"pi_18661eb79c424a4aa3cceb955c8e1bfc","last_payment_error":null,"livemode":false,"metadata":{"order_id":"01a21a78-24ea-74fd-8fc1-8b01a0739ea7","run_id":"01a21a78-24ea-74fd-8fc1-8b0292260d4c"},"object":"payment_intent","payment_method":"tok_refund_fails","payment_method_types":["card"],"status":"succeeded"}},"id":"evt_d30484d6d2d7446ebae910e5802769aa","livemode":false,"object":"event","type":"payment_intent.succeeded"}', '2026-11-27 00:46:51+00', '2026-11-27 00:46:51.262557+00');
SELECT pg_catalog.setval('backstitch.audit_id_seq', 6, true);
SELECT pg_catalog.setval('backstitch.lane_id_seq', 4, true);
SELECT pg_catalog.setval('backstitch.signal_id_seq', 14, true);
SELECT pg_catalog.setval('backstitch.worker_id_seq', 2, true);
SELECT pg_catalog.setval('backstitch.workflow_id_seq', 6, true);
SELECT pg_catalog.setval('shop.webhook_rejects_id_seq', 1, false);
ALTER TABLE ONLY backstitch.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.attention
    ADD CONSTRAINT attention_pkey PRIMARY KEY (run_id, seq);
ALTER TABLE ONLY backstitch.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.clock
    ADD CONSTRAINT clock_pkey PRIMARY KEY (one);
ALTER TABLE ONLY backstitch.compensation
    ADD CONSTRAINT compensation_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY backstitch.exceptional
    ADD CONSTRAINT exceptional_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY backstitch.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (kind, name);
ALTER TABLE ONLY backstitch.lane
    ADD CONSTRAINT lane_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);
ALTER TABLE ONLY backstitch.operation
    ADD CONSTRAINT operation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.operation_run
    ADD CONSTRAINT operation_run_pkey PRIMARY KEY (operation_id, run_id);
ALTER TABLE ONLY backstitch.paused
    ADD CONSTRAINT paused_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY backstitch.ready
    ADD CONSTRAINT ready_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY backstitch.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (workflow);
ALTER TABLE ONLY backstitch.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_2026_11_23
    ADD CONSTRAINT run_2026_11_23_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_2026_11_30
    ADD CONSTRAINT run_2026_11_30_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_2026_12_07
    ADD CONSTRAINT run_2026_12_07_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_2026_12_14
    ADD CONSTRAINT run_2026_12_14_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_2026_12_21
    ADD CONSTRAINT run_2026_12_21_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_default
    ADD CONSTRAINT run_default_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.run_key
    ADD CONSTRAINT run_key_pkey PRIMARY KEY (workflow, key);
ALTER TABLE ONLY backstitch.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (name);
ALTER TABLE ONLY backstitch.schedule_slot
    ADD CONSTRAINT schedule_slot_pkey PRIMARY KEY (schedule, slot);
ALTER TABLE ONLY backstitch.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.signal
    ADD CONSTRAINT signal_pkey PRIMARY KEY (run_id, id);
ALTER TABLE ONLY backstitch.step
    ADD CONSTRAINT step_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_2026_11_23
    ADD CONSTRAINT step_2026_11_23_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_2026_11_30
    ADD CONSTRAINT step_2026_11_30_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_2026_12_07
    ADD CONSTRAINT step_2026_12_07_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_2026_12_14
    ADD CONSTRAINT step_2026_12_14_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_2026_12_21
    ADD CONSTRAINT step_2026_12_21_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.step_default
    ADD CONSTRAINT step_default_pkey PRIMARY KEY (run_id, seq, direction);
ALTER TABLE ONLY backstitch.timer
    ADD CONSTRAINT timer_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY backstitch.worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (id);
ALTER TABLE ONLY backstitch.workflow
    ADD CONSTRAINT workflow_name_version_key UNIQUE (name, version);
ALTER TABLE ONLY backstitch.workflow
    ADD CONSTRAINT workflow_pkey PRIMARY KEY (id);
ALTER TABLE ONLY shop.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (order_id, sku, round);
ALTER TABLE ONLY shop.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (sku);
ALTER TABLE ONLY shop.order_archive
    ADD CONSTRAINT order_archive_pkey PRIMARY KEY (id, created_at);
ALTER TABLE ONLY shop.order_archive_2026_11
    ADD CONSTRAINT order_archive_2026_11_pkey PRIMARY KEY (id, created_at);
ALTER TABLE ONLY shop.order_items
    ADD CONSTRAINT order_items_pkey PRIMARY KEY (order_id, sku);
ALTER TABLE ONLY shop.order_keys
    ADD CONSTRAINT order_keys_pkey PRIMARY KEY (key);
ALTER TABLE ONLY shop.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
ALTER TABLE ONLY shop.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (order_id, no);
ALTER TABLE ONLY shop.refunds
    ADD CONSTRAINT refunds_refund_id_key UNIQUE (refund_id);
ALTER TABLE ONLY shop.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY shop.webhook_rejects
    ADD CONSTRAINT webhook_rejects_pkey PRIMARY KEY (id);
CREATE INDEX attention_code ON backstitch.attention USING btree (code, run_id);
CREATE INDEX attention_fingerprint ON backstitch.attention USING btree (fingerprint, run_id);
CREATE INDEX attention_step ON backstitch.attention USING btree (step_name, run_id);
CREATE INDEX audit_action ON backstitch.audit USING btree (action, id);
CREATE INDEX audit_actor ON backstitch.audit USING btree (actor, id);
CREATE INDEX audit_at ON backstitch.audit USING btree (at);
CREATE INDEX audit_key ON backstitch.audit USING btree (split_part(actor, ' ('::text, 1), id);
CREATE INDEX audit_refused ON backstitch.audit USING btree (id) WHERE (outcome = 'refused'::text);
CREATE INDEX audit_run ON backstitch.audit USING btree (run_id);
CREATE INDEX exceptional_code ON backstitch.exceptional USING btree (code, run_id);
CREATE INDEX exceptional_status ON backstitch.exceptional USING btree (status, run_id);
CREATE INDEX exceptional_step ON backstitch.exceptional USING btree (step_name, run_id);
CREATE INDEX operation_open ON backstitch.operation USING btree (created_at) WHERE (finished_at IS NULL);
CREATE INDEX operation_run_open ON backstitch.operation_run USING btree (operation_id, run_id) WHERE (outcome IS NULL);
CREATE INDEX ready_claim ON backstitch.ready USING btree (queue, workflow_id, due_at) WHERE (lane IS NULL);
CREATE INDEX run_parent ON ONLY backstitch.run USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_2026_11_23_parent_id_idx ON backstitch.run_2026_11_23 USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_tags ON ONLY backstitch.run USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_2026_11_23_tags_idx ON backstitch.run_2026_11_23 USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_workflow_ranges ON ONLY backstitch.run USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_2026_11_23_workflow_id_idx ON backstitch.run_2026_11_23 USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_2026_11_30_parent_id_idx ON backstitch.run_2026_11_30 USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_2026_11_30_tags_idx ON backstitch.run_2026_11_30 USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_2026_11_30_workflow_id_idx ON backstitch.run_2026_11_30 USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_2026_12_07_parent_id_idx ON backstitch.run_2026_12_07 USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_2026_12_07_tags_idx ON backstitch.run_2026_12_07 USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_2026_12_07_workflow_id_idx ON backstitch.run_2026_12_07 USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_2026_12_14_parent_id_idx ON backstitch.run_2026_12_14 USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_2026_12_14_tags_idx ON backstitch.run_2026_12_14 USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_2026_12_14_workflow_id_idx ON backstitch.run_2026_12_14 USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_2026_12_21_parent_id_idx ON backstitch.run_2026_12_21 USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_2026_12_21_tags_idx ON backstitch.run_2026_12_21 USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_2026_12_21_workflow_id_idx ON backstitch.run_2026_12_21 USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX run_default_parent_id_idx ON backstitch.run_default USING btree (parent_id) WHERE (parent_id IS NOT NULL);
CREATE INDEX run_default_tags_idx ON backstitch.run_default USING gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL);
CREATE INDEX run_default_workflow_id_idx ON backstitch.run_default USING brin (workflow_id int4_minmax_multi_ops) WITH (pages_per_range='32');
CREATE INDEX schedule_slot_missed ON backstitch.schedule_slot USING btree (schedule) WHERE (outcome = 'missed'::text);
CREATE INDEX schedule_slot_queued ON backstitch.schedule_slot USING btree (schedule, slot) WHERE (outcome = 'queued'::text);
CREATE UNIQUE INDEX signal_key ON backstitch.signal USING btree (run_id, key) WHERE (key IS NOT NULL);
CREATE INDEX timer_due ON backstitch.timer USING btree (due_at);
CREATE UNIQUE INDEX holds_active ON shop.holds USING btree (order_id, sku) WHERE (state <> 'released'::text);
CREATE INDEX order_archive_customer ON ONLY shop.order_archive USING btree (customer_id, created_at DESC, id DESC);
CREATE INDEX order_archive_2026_11_customer_id_created_at_id_idx ON shop.order_archive_2026_11 USING btree (customer_id, created_at DESC, id DESC);
CREATE INDEX orders_customer ON shop.orders USING btree (customer_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX orders_intent ON shop.orders USING btree (intent_id) WHERE (intent_id IS NOT NULL);
CREATE INDEX orders_to_archive ON shop.orders USING btree (updated_at) WHERE ((archived_at IS NULL) AND (state = ANY (ARRAY['delivered'::text, 'cancelled'::text])));
CREATE UNIQUE INDEX refunds_open ON shop.refunds USING btree (order_id) WHERE (state = ANY (ARRAY['requested'::text, 'pending'::text]));
CREATE INDEX webhook_events_order ON shop.webhook_events USING btree (order_id);
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_2026_11_23_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_2026_11_23_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_2026_11_23_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_2026_11_23_workflow_id_idx;
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_2026_11_30_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_2026_11_30_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_2026_11_30_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_2026_11_30_workflow_id_idx;
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_2026_12_07_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_2026_12_07_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_2026_12_07_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_2026_12_07_workflow_id_idx;
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_2026_12_14_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_2026_12_14_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_2026_12_14_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_2026_12_14_workflow_id_idx;
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_2026_12_21_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_2026_12_21_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_2026_12_21_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_2026_12_21_workflow_id_idx;
ALTER INDEX backstitch.run_parent ATTACH PARTITION backstitch.run_default_parent_id_idx;
ALTER INDEX backstitch.run_pkey ATTACH PARTITION backstitch.run_default_pkey;
ALTER INDEX backstitch.run_tags ATTACH PARTITION backstitch.run_default_tags_idx;
ALTER INDEX backstitch.run_workflow_ranges ATTACH PARTITION backstitch.run_default_workflow_id_idx;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_2026_11_23_pkey;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_2026_11_30_pkey;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_2026_12_07_pkey;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_2026_12_14_pkey;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_2026_12_21_pkey;
ALTER INDEX backstitch.step_pkey ATTACH PARTITION backstitch.step_default_pkey;
ALTER INDEX shop.order_archive_customer ATTACH PARTITION shop.order_archive_2026_11_customer_id_created_at_id_idx;
ALTER INDEX shop.order_archive_pkey ATTACH PARTITION shop.order_archive_2026_11_pkey;
ALTER TABLE ONLY shop.holds
    ADD CONSTRAINT holds_order_id_fkey FOREIGN KEY (order_id) REFERENCES shop.orders(id);
ALTER TABLE ONLY shop.holds
    ADD CONSTRAINT holds_sku_fkey FOREIGN KEY (sku) REFERENCES shop.items(sku);
ALTER TABLE ONLY shop.order_items
    ADD CONSTRAINT order_items_order_id_fkey FOREIGN KEY (order_id) REFERENCES shop.orders(id);
ALTER TABLE ONLY shop.refunds
    ADD CONSTRAINT refunds_order_id_fkey FOREIGN KEY (order_id) REFERENCES shop.orders(id);
