-- Locks the runs that are about to pass their pivot. Called by store/flush.rs: a cancel at the same moment is either seen here or
-- finds the pivot on record. Also the run that a step's own transaction is about to write. In the order of their ids, so that two flushes can't deadlock.
SELECT id, request FROM {schema}.run WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
