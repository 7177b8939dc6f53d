-- Declares lanes without a heartbeat dead and makes their runs due again. Called by store/lanes.rs.
-- dead: `beat` is checked again after waiting for a flush or claim of the same lane, which then spares it. A lease is
--    judged by the real clock of the database, which tests do not move.
-- A step that was under way is unknown from now on: the next worker sees an intent without an outcome.
-- The second part sweeps lanes that are dead already once more: nothing should be left on them, and nothing stays.
WITH dead AS (
    UPDATE {schema}.lane SET alive = false
    WHERE alive AND beat < clock_timestamp() - $1::bigint * interval '1 ms'
    RETURNING id
),
due AS (
    UPDATE {schema}.ready SET lane = NULL, fresh = false, takeovers = takeovers + 1
    WHERE lane IN (SELECT id FROM dead UNION ALL SELECT id FROM {schema}.lane WHERE NOT alive)
    RETURNING run_id
)
SELECT (SELECT count(*) FROM dead) AS lanes, (SELECT count(*) FROM due) AS runs
