-- Locks a run's timer. Called by store/verbs.rs: a timer that fires just now has its row in `ready` before this goes on.
SELECT FROM {schema}.timer WHERE run_id = $1 FOR UPDATE
