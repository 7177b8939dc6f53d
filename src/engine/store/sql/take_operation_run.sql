-- Takes one run of a bulk operation until the transaction ends. Called by store/operations.rs. SKIP LOCKED: another server that
-- has it is not waited for.
SELECT true FROM {schema}.operation_run
WHERE operation_id = $1 AND run_id = $2 AND outcome IS NULL
FOR UPDATE SKIP LOCKED
