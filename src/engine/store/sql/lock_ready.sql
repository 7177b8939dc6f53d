-- Locks a run's row in `ready` and says which lane has claimed it. Called by store/verbs.rs: no worker can claim the run until
-- the commit.
SELECT lane FROM {schema}.ready WHERE run_id = $1 FOR UPDATE
