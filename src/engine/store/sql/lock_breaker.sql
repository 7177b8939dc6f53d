-- Locks one operation's breaker, making it where there is none, and gives it with the time in milliseconds. Called by
-- store/breakers.rs, in a transaction that takes no other lock. An update that changes nothing, because a plain insert that meets
-- a row gives none; it is rare: a call that is served writes nothing.
INSERT INTO {schema}.breaker AS b (scope, operation, state, since, window_from, calls, failures)
VALUES ($1, $2, 'closed', clock_timestamp(), clock_timestamp(), 0, 0)
ON CONFLICT (scope, operation) DO UPDATE SET operation = b.operation
RETURNING state, (extract(epoch FROM since) * 1000)::bigint AS since, (extract(epoch FROM window_from) * 1000)::bigint AS window_from,
    calls, failures, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
