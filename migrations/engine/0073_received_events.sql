-- serves: 54
-- Events from outside, each once by its source and id, and what came of it. The body is kept while an operator has to look at
-- it. A position in a topic moves in the transaction that handles what stood before it.
CREATE TABLE IF NOT EXISTS {schema}.received_event (
    id          uuid PRIMARY KEY,
    source      text NOT NULL,
    event_id    text NOT NULL,
    type        text NOT NULL,
    state       text NOT NULL,
    code        text,
    message     text,
    run_id      uuid,
    body        text,
    received_at timestamptz NOT NULL DEFAULT {schema}.now(),
    UNIQUE (source, event_id)
);
CREATE INDEX IF NOT EXISTS received_event_parked ON {schema}.received_event (id) WHERE state = 'parked';
CREATE TABLE IF NOT EXISTS {schema}.topic_position (
    source      text NOT NULL,
    topic       text NOT NULL,
    part        int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (source, topic, part)
);
CREATE INDEX IF NOT EXISTS received_event_handled ON {schema}.received_event (received_at) WHERE state <> 'parked';
