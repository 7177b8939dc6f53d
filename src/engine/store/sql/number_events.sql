-- Writes what core/numbering.rs has decided. Called by store/outbox, with the head locked. No gap is closed and written at once.
WITH h AS (UPDATE {schema}.event_head SET last = $1, high = $2),
r AS (
    INSERT INTO {schema}.event_range (first, last, start)
    SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[])
),
d AS (DELETE FROM {schema}.event_gap WHERE start = ANY ($6::bigint[]))
INSERT INTO {schema}.event_gap (start, stop, until)
SELECT * FROM unnest($7::bigint[], $8::bigint[], $9::bigint[])
ON CONFLICT (start) DO UPDATE SET stop = excluded.stop
