-- How far a sink has got whose delivery is a write in this transaction. Called by store/outbox/sinks.rs. The lock keeps a takeover
-- out until the commit; the token keeps out who has lost the lease.
SELECT sequence FROM {schema}.event_sink WHERE name = $1 AND token = $2 FOR UPDATE
