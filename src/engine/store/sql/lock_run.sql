-- Locks a run's row and reads what an operator's action depends on. Called by store/verbs.rs, before the run's other rows: the
-- order is run, timer, ready. No worker can end or park the run until the commit.
SELECT status, request, failure::text AS failure, deadline_at, wait_kind, wait_name, wait_until
FROM {schema}.run WHERE id = $1 FOR UPDATE
