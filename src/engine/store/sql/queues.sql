-- The queues: what is due and what is held in each, and who serves it. Called by store/search/fleet.rs.
-- Queues of our own ('@…', where runs wait for a held activity) are left out: nobody serves them, and nobody should.
-- `ready` holds only what is due or held, so counting it is cheap as long as work gets done.
-- What is put aside for a held activity stands in queues that nobody serves or sees: their names begin with @.
WITH q AS (
    SELECT r.queue AS name, count(*) FILTER (WHERE r.lane IS NULL AND r.due_at <= n.now) AS due,
        count(*) FILTER (WHERE r.lane IS NOT NULL) AS held, min(r.due_at) FILTER (WHERE r.lane IS NULL) AS oldest_due_at
    FROM {schema}.ready r, (SELECT {schema}.now() AS now) n
    WHERE NOT starts_with(r.queue, '@')
    GROUP BY r.queue
),
k AS (
    SELECT DISTINCT u.queue AS name, k.name AS worker
    FROM {schema}.worker k JOIN {schema}.lane l ON l.worker_id = k.id, unnest(k.queues) u(queue)
    WHERE l.alive AND l.beat > clock_timestamp() - $2::text::interval
)
SELECT a.name, coalesce(q.due, 0) AS due, coalesce(q.held, 0) AS held, q.oldest_due_at,
    ARRAY(SELECT k.worker FROM k WHERE k.name = a.name ORDER BY k.worker) AS workers
FROM (
    SELECT name FROM q UNION SELECT name FROM k UNION SELECT unnest($1::text[])
    UNION SELECT h.name FROM {schema}.hold h WHERE h.kind = 'queue'
) a
LEFT JOIN q ON q.name = a.name
ORDER BY a.name
