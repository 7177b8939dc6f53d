-- Gives back a run whose decisions panicked in its worker, as one loss more: it ends as poison rather than in a loop. Called
-- by store/lanes.rs. The second's pause keeps it from coming back at once.
-- f: the fence; see release_run.sql.
WITH f AS (
    UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND token = $3 AND alive RETURNING id
)
UPDATE {schema}.ready q
SET lane = NULL, fresh = false, takeovers = takeovers + 1, due_at = (SELECT {schema}.now()) + interval '1 second'
FROM f WHERE q.run_id = $2 AND q.lane = f.id
