-- serves: 41
-- What operators were told is wrong: a row each, until it is over and may be told anew.
CREATE TABLE shop.alert (
    key        text        PRIMARY KEY,
    title      text        NOT NULL,
    path       text        NOT NULL, -- the page that shows it
    since      timestamptz NOT NULL,
    said_at    timestamptz NOT NULL, -- that it is wrong, the last time
    said_count bigint      NOT NULL,
    gone_since timestamptz,          -- it is not found; over if it stays so
    is_over    boolean     NOT NULL  -- and that was told
);

-- What they are told, a row for each target, until it is sent and a week is over.
CREATE TABLE shop.alert_message (
    id              uuid        NOT NULL,
    target          text        NOT NULL, -- a mail address, or a URL's host and hash
    subject         text        NOT NULL,
    text            text        NOT NULL,
    body            jsonb       NOT NULL,
    created_at      timestamptz NOT NULL,
    attempts        int         NOT NULL DEFAULT 0, -- also the fence: who sends holds this number
    next_attempt_at timestamptz NOT NULL,           -- while it is being sent: when somebody else may try
    last_error      text,
    sent_at         timestamptz,
    PRIMARY KEY (id, target)
);
CREATE INDEX alert_message_due ON shop.alert_message (next_attempt_at) WHERE sent_at IS NULL;

-- When it was last decided what is news. Its lock makes one process decide at a time.
CREATE TABLE shop.alert_turn (
    id         int         PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    decided_at timestamptz NOT NULL
);
INSERT INTO shop.alert_turn (decided_at) VALUES ('epoch');
