-- Schedules as they stand, one ($1) or all. Called by store/schedules.rs.
-- `running`: a run that the schedule has started, by its clock or by hand, has not ended; one that retention has taken has.
SELECT s.name, s.cron, s.time_zone, s.workflow, s.input::text AS input, s.queue, s.overlap, s.catch_up, s.paused, s.next_at,
    s.created_at, s.updated_at, {schema}.now() AS now,
    EXISTS (
        SELECT FROM (
            SELECT b.run_id FROM {schema}.schedule_slot b
            WHERE b.schedule = s.name AND b.outcome = 'started' ORDER BY b.slot DESC LIMIT 100) begun
        JOIN {schema}.run r ON r.id = begun.run_id WHERE r.status < 5) AS running,
    ARRAY(SELECT q.slot FROM {schema}.schedule_slot q
        WHERE q.schedule = s.name AND q.outcome = 'queued' ORDER BY q.slot) AS queued,
    (SELECT count(*) FROM {schema}.schedule_slot m WHERE m.schedule = s.name AND m.outcome = 'missed') AS missed,
    coalesce((SELECT w.secret_fields FROM {schema}.workflow w WHERE w.name = s.workflow ORDER BY w.version DESC LIMIT 1),
        '{}') AS secret_fields,
    l.slot, l.outcome, l.run_id, l.message, l.at
FROM {schema}.schedule s
LEFT JOIN LATERAL (
    SELECT * FROM {schema}.schedule_slot t WHERE t.schedule = s.name ORDER BY t.slot DESC LIMIT 1
) l ON true
WHERE $1::text IS NULL OR s.name = $1
ORDER BY s.name
