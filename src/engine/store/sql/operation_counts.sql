-- An operation's columns, with what became of its runs. Called by store/operations.rs, which adds which operations.
-- Every run of an operation that goes on is looked at: ten thousand are some milliseconds. One that has ended has its counts.
-- Its runs may be of any workflow: what is secret in any of them is not shown of its arguments.
SELECT o.id, o.action::text AS action, o.filter::text AS filter, o.reason, o.actor, o.rate, o.status, o.total, o.created_at,
    o.started_at, o.finished_at, {schema}.now() AS now, coalesce(o.done, c.done) AS done, coalesce(o.refused, c.refused) AS refused,
    ARRAY(SELECT DISTINCT field FROM {schema}.workflow w, unnest(w.secret_fields) field) AS secret_fields
FROM {schema}.operation o, LATERAL (
    SELECT count(*) FILTER (WHERE u.outcome = 'done') AS done, count(*) FILTER (WHERE u.outcome = 'refused') AS refused
    FROM {schema}.operation_run u WHERE u.operation_id = o.id AND o.done IS NULL
) c
