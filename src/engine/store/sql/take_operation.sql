-- Takes an operation that is to go on, until the transaction ends. Called by store/operations.rs.
-- An advisory lock and not the row's: pause and cancel need the row meanwhile. It goes with its session, so the operation of
--    a process that was killed is free as soon as Postgres has noticed.
-- In no order, so that a slow operation does not keep the others waiting for its end. The inner query is sorted before the
--    outer one tries any lock: it stops at the first that it gets, and has no other.
SELECT o.id, o.action::text AS action, o.actor, o.reason, o.rate
FROM (
    SELECT * FROM {schema}.operation
    WHERE finished_at IS NULL AND status IN ('pending', 'running')
    ORDER BY random()
) o
WHERE pg_try_advisory_xact_lock(hashtextextended('{schema} operation ' || o.id, 0))
LIMIT 1
