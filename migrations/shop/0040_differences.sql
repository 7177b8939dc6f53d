-- serves: 20
-- What orders, captures, refunds, stock and the gateway's own list disagree about, one row per kind and thing. A difference
-- that is seen again keeps its row; what became of it is its state, and the audit has who mended it.
CREATE TABLE shop.difference (
    id         uuid        PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN
        ('captured_without_order', 'captured_twice', 'capture_unbooked', 'capture_missing', 'amount_differs', 'refund_missing',
         'refund_too_much', 'uncaptured_hold', 'stock_differs', 'stock_kept', 'books_differ')),
    about      text        NOT NULL, -- the payment, order or item
    order_id   uuid,
    payment_id text,
    sku        text,
    expected   bigint      NOT NULL, -- what our books say: minor units, or units of stock
    actual     bigint      NOT NULL, -- what is there
    currency   text        CHECK (currency ~ '^[A-Z]{3}$'), -- null: units of stock
    state      text        NOT NULL CHECK (state IN ('open', 'mended', 'gone')),
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    mend       text        CHECK (mend IN ('refund', 'void', 'restock', 'recount', 'write_off')),
    mended_by  text,
    reason     text,
    mend_run   uuid, -- the run that mends it
    mended_at  timestamptz,
    UNIQUE (kind, about)
);
CREATE INDEX difference_state ON shop.difference (state, id);
CREATE INDEX difference_of_payment ON shop.difference (payment_id) WHERE state = 'open';
