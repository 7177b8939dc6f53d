-- serves: 54
-- Circuit breakers that processes share, one row for each operation of a scope that has had a failure, and what operators want of a
-- scope. Times are real ones, not those of the clock that tests move: breakers protect the systems of now.
CREATE TABLE IF NOT EXISTS {schema}.breaker (
    scope       text        NOT NULL,
    operation   text        NOT NULL,
    state       text        NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    since       timestamptz NOT NULL, -- of a half-open one, the name of its probe too
    window_from timestamptz NOT NULL,
    calls       int         NOT NULL,
    failures    int         NOT NULL,
    PRIMARY KEY (scope, operation)
);
CREATE TABLE IF NOT EXISTS {schema}.breaker_mode (
    scope  text        PRIMARY KEY,
    mode   text        NOT NULL CHECK (mode IN ('auto', 'open', 'closed')),
    actor  text        NOT NULL,
    reason text        NOT NULL,
    since  timestamptz NOT NULL
);
