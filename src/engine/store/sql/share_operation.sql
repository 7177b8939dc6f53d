-- Keeps a bulk operation's status as it is until the transaction ends. Called by store/operations.rs for each of its runs: a pause
-- that was answered finds none of them in the middle.
SELECT status FROM {schema}.operation WHERE id = $1 FOR SHARE
