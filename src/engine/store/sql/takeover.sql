-- Declares lanes without a heartbeat dead and makes their runs due again. Called by store/lanes.rs.
-- SKIP LOCKED, twice: the holder of a lane's row or a run's place in `ready` may be stopped in the middle of a transaction,
--    and would hold up the takeover of everybody else. What is skipped is looked at again by the next turn: the time-outs
--    of a lane's session see to it that its locks end.
-- silent: FOR UPDATE, which excludes the shared fence of the lane's steps too: what one of their transactions writes is
--    either there before its lane is dead, or not at all. A row that changed while this statement ran is judged as it is now: a flush or claim that has just committed
--    spares its lane. A lease is judged by the real clock of the database, which tests do not move. $1 is null for a worker
--    that may not judge the silence of others: then nobody is silent.
-- due: a step that was under way is unknown from now on: the next worker sees an intent without an outcome.
--    Lanes that are dead already are swept once more: nothing should be left on them, and nothing stays.
WITH silent AS (
    SELECT id FROM {schema}.lane
    WHERE alive AND beat < clock_timestamp() - $1::bigint * interval '1 ms'
    FOR UPDATE SKIP LOCKED
),
dead AS (
    UPDATE {schema}.lane l SET alive = false FROM silent WHERE l.id = silent.id RETURNING l.id
),
left_behind AS (
    SELECT run_id FROM {schema}.ready
    WHERE lane IN (SELECT id FROM dead UNION ALL SELECT id FROM {schema}.lane WHERE NOT alive)
    FOR NO KEY UPDATE SKIP LOCKED
),
due AS (
    UPDATE {schema}.ready q SET lane = NULL, fresh = false, takeovers = takeovers + 1
    FROM left_behind b WHERE q.run_id = b.run_id
    RETURNING q.run_id
)
SELECT (SELECT count(*) FROM dead) AS lanes, (SELECT count(*) FROM due) AS runs
