-- Takes a run out of `ready` that turned out not to be due. Called by store/flush.rs.
-- r: locks the run's row, so that a request at the same moment is either seen here (the inbox has been counted up) or finds no
--    row in `ready`, and makes one.
WITH r AS (SELECT id FROM {schema}.run WHERE id = $1 AND inbox = $3 FOR UPDATE)
DELETE FROM {schema}.ready q USING r WHERE q.run_id = r.id AND q.lane = $2
