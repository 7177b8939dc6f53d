-- The order domain: items, orders, the stock ledger, refunds, the gateway's events and the history.
-- Money is bigint minor units with an ISO currency; times come from backstitch.now(), the clock that tests can move.
-- The states are words with CHECKs, not enums: a new word is a plain migration, and people read these tables.
-- Locks are taken in one order everywhere: the order's row, then item rows by sku, then the rest.
CREATE SCHEMA IF NOT EXISTS shop;

-- What is sold. `held` is the sum of the active holds, kept here so that one constraint can say that what is available
-- (on_hand - held) is never negative. Committing a hold takes its units out of both; restocking puts them back on hand.
CREATE TABLE shop.items (
    sku        text        PRIMARY KEY CHECK (length(sku) BETWEEN 1 AND 64),
    name       text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    price      bigint      NOT NULL CHECK (price >= 0),
    currency   text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    on_hand    bigint      NOT NULL CHECK (on_hand >= 0),
    held       bigint      NOT NULL DEFAULT 0 CHECK (held >= 0),
    updated_at timestamptz NOT NULL DEFAULT backstitch.now(),
    CONSTRAINT items_available CHECK (held <= on_hand)
);

-- An order on its axes. What is asked of it (a cancel, a dispatch) is recorded here by whoever asks; the states are
-- moved by its run. After archiving a slim row stays: no lines and no address, but a late payment still finds it.
CREATE TABLE shop.orders (
    id             uuid        PRIMARY KEY,
    run_id         uuid        NOT NULL,
    customer_id    text        NOT NULL CHECK (length(customer_id) BETWEEN 1 AND 128),
    state          text        NOT NULL CHECK (state IN
        ('created', 'awaiting_payment', 'placed', 'processing', 'shipped', 'delivered', 'cancelling', 'cancelled')),
    cancel_reason  text        CHECK (cancel_reason IN
        ('payment_failed', 'payment_expired', 'out_of_stock', 'customer', 'seller', 'system')),
    payment_state  text        NOT NULL CHECK (payment_state IN
        ('none', 'pending', 'captured', 'unknown', 'failed', 'voided', 'refund_pending', 'partially_refunded', 'refunded',
         'refund_failed')),
    stock_state    text        NOT NULL CHECK (stock_state IN ('none', 'held', 'committed', 'released')),
    currency       text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total          bigint      NOT NULL CHECK (total > 0),
    captured       bigint      NOT NULL DEFAULT 0 CHECK (captured >= 0),
    refunded       bigint      NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    intent_id      text,
    refund_tiers   text        NOT NULL, -- as they were when the order was created: `10m:70,30m:40`
    address        text,
    lat            double precision CHECK (lat BETWEEN -90 AND 90),
    lon            double precision CHECK (lon BETWEEN -180 AND 180),
    deliver_at     timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    placed_at      timestamptz,
    dispatched_at  timestamptz, -- reported by fulfilment
    delivered_at   timestamptz, -- reported by fulfilment
    cancel_at      timestamptz, -- when a cancel was accepted
    cancel_by      text        CHECK (cancel_by IN ('customer', 'seller', 'system')),
    cancel_bp      int         CHECK (cancel_bp BETWEEN 0 AND 10000), -- of what was captured, given back
    cancel_note    text,
    archived_at    timestamptz,
    CONSTRAINT orders_refunded   CHECK (refunded <= captured),
    CONSTRAINT orders_cancelled  CHECK ((state IN ('cancelling', 'cancelled')) = (cancel_reason IS NOT NULL)),
    CONSTRAINT orders_cancel     CHECK ((cancel_at IS NULL) = (cancel_by IS NULL) AND (cancel_at IS NULL) = (cancel_bp IS NULL)),
    CONSTRAINT orders_placed     CHECK (state NOT IN ('placed', 'processing', 'shipped', 'delivered') OR placed_at IS NOT NULL),
    CONSTRAINT orders_position   CHECK ((lat IS NULL) = (lon IS NULL))
);
CREATE INDEX orders_customer ON shop.orders (customer_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX orders_intent ON shop.orders (intent_id) WHERE intent_id IS NOT NULL;
CREATE INDEX orders_to_archive ON shop.orders (updated_at) WHERE archived_at IS NULL AND state IN ('delivered', 'cancelled');

-- The caller's idempotency key, with a hash of the request that it came with.
CREATE TABLE shop.order_keys (
    key      text  PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    order_id uuid  NOT NULL,
    hash     bytea NOT NULL
);

-- One line per sku, with the price as it was when the order was created.
CREATE TABLE shop.order_items (
    order_id uuid   NOT NULL REFERENCES shop.orders (id),
    sku      text   NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    price    bigint NOT NULL CHECK (price >= 0),
    PRIMARY KEY (order_id, sku)
);

-- The stock ledger: one hold per order line, moved by UPDATEs that name the state that they move from. `round` counts
-- how often the order has held stock: a late payment holds it again.
CREATE TABLE shop.holds (
    order_id   uuid        NOT NULL REFERENCES shop.orders (id),
    sku        text        NOT NULL REFERENCES shop.items (sku),
    round      smallint    NOT NULL,
    quantity   bigint      NOT NULL CHECK (quantity > 0),
    state      text        NOT NULL CHECK (state IN ('held', 'committed', 'released')),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, sku, round)
);
CREATE UNIQUE INDEX holds_active ON shop.holds (order_id, sku) WHERE state <> 'released';

-- What is given back. The row is there, with its amount fixed, before the gateway is asked.
CREATE TABLE shop.refunds (
    order_id     uuid        NOT NULL REFERENCES shop.orders (id),
    no           int         NOT NULL CHECK (no > 0),
    amount       bigint      NOT NULL CHECK (amount > 0),
    currency     text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('requested', 'pending', 'succeeded', 'failed')),
    refund_id    text        UNIQUE,
    last_error   text,
    escalated_at timestamptz, -- its failure was put before an operator
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (order_id, no)
);
CREATE UNIQUE INDEX refunds_open ON shop.refunds (order_id) WHERE state IN ('requested', 'pending');

-- The gateway's events, one row per event id, however often it comes.
CREATE TABLE shop.webhook_events (
    id          text        PRIMARY KEY,
    event_type  text        NOT NULL,
    order_id    uuid,
    handled     text        NOT NULL, -- signalled, late_payment, no_order, run_ended, of_no_use
    body        json        NOT NULL,
    made_at     timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX webhook_events_order ON shop.webhook_events (order_id);

-- Webhooks that were not taken. Anybody can send such, so only a hash and the size are kept of them.
CREATE TABLE shop.webhook_rejects (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text        NOT NULL,
    body_hash   bytea       NOT NULL,
    body_bytes  bigint      NOT NULL,
    received_at timestamptz NOT NULL
);

-- The history store: whole orders by month of their creation, so that retention drops partitions.
CREATE TABLE shop.order_archive (
    id          uuid        NOT NULL,
    customer_id text        NOT NULL,
    created_at  timestamptz NOT NULL,
    archived_at timestamptz NOT NULL,
    doc         jsonb       NOT NULL,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX order_archive_customer ON shop.order_archive (customer_id, created_at DESC, id DESC);

-- Makes the month's partition if there is none. The look before the lock keeps the usual case free of any.
CREATE FUNCTION shop.ensure_archive_month(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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

-- Drops the partitions whose orders are all older than `before`; gives how many that were.
CREATE FUNCTION shop.drop_archive_months(before timestamptz) RETURNS int LANGUAGE plpgsql AS $$
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
