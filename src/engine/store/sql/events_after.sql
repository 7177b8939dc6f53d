-- Events behind a number, in order: $3 at most, among the next $4. Called by store/outbox. Ranges are read by their last number,
-- and a range's events by their positions, so that nothing is sorted but what is equal.
-- l: up to where this looks. The last row says so, where there is more behind it.
WITH l AS MATERIALIZED (SELECT least(last, $1 + $4) AS to_number, last FROM {schema}.event_head)
(SELECT r.first + (e.position - r.start) AS sequence, e.id, e.type, e.subject, e.at, e.dataschema, e.data
 FROM l, {schema}.event_range r, LATERAL (
     SELECT * FROM {schema}.event e
     WHERE e.position BETWEEN r.start + greatest($1 + 1 - r.first, 0) AND r.start + least(r.last, l.to_number) - r.first
     ORDER BY e.position
 ) e
 WHERE r.last > $1 AND r.first <= l.to_number AND ($2::text IS NULL OR e.type = $2)
 ORDER BY r.last, e.position LIMIT $3)
UNION ALL
SELECT to_number, NULL, NULL, NULL, NULL, NULL, NULL FROM l WHERE to_number < last
