-- Locks the runs that a step's own transaction is about to write. Called by store/flush, before flush.sql takes the lane: a caller
-- may keep one locked for long. In the order of their ids, so that two flushes can't deadlock.
SELECT FROM {schema}.run WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
