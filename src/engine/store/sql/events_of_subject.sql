-- The same of one subject: $4 at most. Called by store/outbox. A subject has few events; an event's range is the last that does
-- not start behind it, if that reaches so far.
SELECT r.first + (e.position - r.start) AS sequence, e.id, e.type, e.subject, e.at, e.dataschema, e.data
FROM {schema}.event e, LATERAL (
    SELECT * FROM {schema}.event_range r WHERE r.start <= e.position ORDER BY r.start DESC LIMIT 1
) r
WHERE e.subject = $1 AND ($3::text IS NULL OR e.type = $3)
  AND e.position <= r.start + (r.last - r.first) AND r.first + (e.position - r.start) > $2
ORDER BY 1 LIMIT $4
