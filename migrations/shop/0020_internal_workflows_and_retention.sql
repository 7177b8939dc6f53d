-- The shop's workflows are internal: callers neither start nor signal their runs. Their keys move to where no caller's key can be,
-- so that a webhook that comes again finds the run that the first one started.
-- A server of the version before goes on: at worst it starts a second run of a late payment, which finds nothing left to do.
UPDATE {schema}.workflow SET internal = true WHERE name IN ('order', 'late_payment', 'archive_sweep');
UPDATE {schema}.run_key SET key = '@internal:' || key
WHERE workflow IN ('order', 'late_payment', 'archive_sweep') AND NOT starts_with(key, '@internal:');

-- What is forgotten after a time is found by its age. Block ranges, because the tables only grow at their end; an order's id says
-- when it was made.
CREATE INDEX IF NOT EXISTS webhook_events_age ON shop.webhook_events USING brin (received_at);
CREATE INDEX IF NOT EXISTS order_keys_age ON shop.order_keys USING brin (order_id);
