-- Deletes a few bulk operations that ended long ago, with their runs. Called by store/retention.rs, which asks again.
WITH old AS (
    SELECT id FROM {schema}.operation
    WHERE finished_at < {schema}.now() - make_interval(secs => $1::float8) LIMIT 10
),
runs AS (
    DELETE FROM {schema}.operation_run x USING old WHERE x.operation_id = old.id
)
DELETE FROM {schema}.operation o USING old WHERE o.id = old.id
