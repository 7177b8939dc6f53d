-- Declares lanes without a heartbeat dead and makes their runs due again. Called by store/lanes.rs.
-- SKIP LOCKED, twice: the holder of a lane's row or a run's place in `ready` may be stopped in the middle of a transaction,
--    and would hold up the takeover of everybody else. What is skipped is looked at again by the next turn: the time-outs
--    of a lane's session see to it that its locks end.
-- silent: FOR UPDATE, which excludes the shared fence of the lane's steps too: what one of their transactions writes is
--    either there before its lane is dead, or not at all. A row that changed while this statement ran is judged as it is now: a
--    flush or claim that has just committed spares its lane. A lease is judged by the real clock of the database, which tests do
--    not move. $1 is null for a worker that may not judge the silence of others: then nobody is silent.
-- gone: lanes that were dead before. Whatever they hold is to be seen by now: they have claimed nothing since. One that holds
--    nothing is swept, which the others find out at most once.
-- left_behind: reads all of `ready`, so only where there is a lane to look for (the count stands by itself, and is looked at first).
-- due: a step that was under way is unknown from now on: the next worker sees an intent without an outcome. An array, so that
--    each run is found by its key, and where there is none nothing is read.
WITH silent AS (
    SELECT id FROM {schema}.lane
    WHERE alive AND beat < clock_timestamp() - $1::bigint * interval '1 ms'
    FOR UPDATE SKIP LOCKED
),
dead AS (
    UPDATE {schema}.lane l SET alive = false FROM silent WHERE l.id = silent.id RETURNING l.id
),
gone AS MATERIALIZED (
    SELECT id FROM {schema}.lane WHERE NOT alive AND NOT swept
),
searched AS MATERIALIZED (
    SELECT id FROM dead UNION ALL SELECT id FROM gone
),
left_behind AS (
    SELECT run_id FROM {schema}.ready
    WHERE (SELECT count(*) FROM searched) > 0 AND lane = ANY (ARRAY(SELECT id FROM searched))
    FOR NO KEY UPDATE SKIP LOCKED
),
due AS (
    UPDATE {schema}.ready SET lane = NULL, fresh = false, takeovers = takeovers + 1
    WHERE run_id = ANY (ARRAY(SELECT run_id FROM left_behind))
    RETURNING run_id
),
clean AS (
    SELECT id FROM {schema}.lane
    WHERE id = ANY (ARRAY(
        SELECT id FROM gone WHERE (SELECT count(*) FROM gone) > 0
        EXCEPT SELECT lane FROM {schema}.ready WHERE (SELECT count(*) FROM gone) > 0
    ))
    FOR NO KEY UPDATE SKIP LOCKED
),
swept AS (
    UPDATE {schema}.lane SET swept = true WHERE id = ANY (ARRAY(SELECT id FROM clean))
)
SELECT (SELECT count(*) FROM dead) AS lanes, (SELECT count(*) FROM due) AS runs
