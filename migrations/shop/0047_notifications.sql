-- serves: 41
-- Where a customer wants to be told of an order. Personal data: in a table of its own, which nothing else reads.
CREATE TABLE shop.order_contact (
    order_id uuid PRIMARY KEY,
    email    text,
    phone    text,
    locale   text
);

-- Who sells an item.
ALTER TABLE shop.items ADD COLUMN seller_id text, ADD COLUMN seller_email text;

-- What somebody is told, one row per cause, address and channel: a cause that comes twice tells once.
CREATE TABLE shop.notification (
    id              uuid        PRIMARY KEY,
    cause           uuid        NOT NULL, -- the event, or a request of an operator's
    order_id        uuid        NOT NULL,
    about           text        NOT NULL, -- the template
    recipient       text        NOT NULL CHECK (recipient IN ('customer', 'seller', 'operator')),
    seller_id       text,
    channel         text        NOT NULL CHECK (channel IN ('email', 'sms', 'push', 'webhook', 'log')),
    address         text        NOT NULL,
    locale          text,
    state           text        NOT NULL CHECK (state IN ('pending', 'sent', 'failed', 'parked')),
    attempts        int         NOT NULL DEFAULT 0, -- also the fence: who sends holds this number
    failures        int         NOT NULL DEFAULT 0, -- in a row, since it was last sent again
    provider        text,
    last_error      text,
    created_at      timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL, -- while it is being sent: when somebody else may try
    sent_at         timestamptz,
    UNIQUE (cause, recipient, channel, address)
);
CREATE INDEX notification_due ON shop.notification (next_attempt_at) WHERE state IN ('pending', 'failed');
CREATE INDEX notification_of_order ON shop.notification (order_id, id);
CREATE INDEX notification_parked ON shop.notification (id) WHERE state = 'parked';
