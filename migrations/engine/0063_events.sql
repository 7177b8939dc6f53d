-- serves: 54
-- Events that leave in order. Emitted in whatever transaction changes what they tell of; numbered after their
-- commit; delivered to each sink by whoever holds its lease.
-- writer comes before position, and so is drawn before it: a transaction whose position others have passed has its xid by then,
-- and once no such xid is open, a position that is not there never comes.
CREATE TABLE {schema}.event (
    writer     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         uuid NOT NULL,
    at         timestamptz NOT NULL DEFAULT {schema}.now(),
    type       text NOT NULL,
    subject    text NOT NULL,
    dataschema text NOT NULL,
    data       jsonb NOT NULL
);
CREATE INDEX event_subject ON {schema}.event (subject);

-- Numbers of events whose positions follow each other: the events first..last are at start and behind it. Ranges never overlap.
CREATE TABLE {schema}.event_range (
    last  bigint PRIMARY KEY,
    first bigint NOT NULL,
    start bigint NOT NULL UNIQUE
);

-- Positions that were passed without an event. It may still come as long as a transaction before until is open.
CREATE TABLE {schema}.event_gap (
    start bigint PRIMARY KEY,
    stop  bigint NOT NULL,
    until bigint NOT NULL
);

-- One row, whose lock makes the numbering single: the last number given, and the highest position seen.
CREATE TABLE {schema}.event_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    last bigint NOT NULL,
    high bigint NOT NULL
);
INSERT INTO {schema}.event_head (last, high) VALUES (0, 0);

-- How far each sink has got, and who delivers to it.
CREATE TABLE {schema}.event_sink (
    name          text PRIMARY KEY,
    sequence      bigint NOT NULL,
    token         uuid,
    leased_until  timestamptz NOT NULL DEFAULT '-infinity',
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    failures      int NOT NULL DEFAULT 0,
    failing_since timestamptz,
    retry_at      timestamptz NOT NULL DEFAULT '-infinity',
    error         text
);
