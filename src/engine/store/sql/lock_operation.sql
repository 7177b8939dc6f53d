-- Locks a bulk operation's row until the transaction ends. Called by store/operations.rs before its status changes.
SELECT status FROM {schema}.operation WHERE id = $1 FOR UPDATE
