-- Takes one schedule that has something to decide. Called by store/schedules.rs, by every server, about once a second.
-- The lock is what makes a slot's decision one server's; SKIP LOCKED, so that the others see to other schedules meanwhile.
-- How the schedule stands is read by a statement of its own afterwards: after waiting for nothing, but with a snapshot
-- from before the last decision, the subqueries here may be out of date, which only costs a look in vain.
-- A paused schedule is left alone, its queued slots too; what it misses is decided when it is resumed.
SELECT s.name FROM {schema}.schedule s
WHERE NOT s.paused
  AND (s.next_at <= {schema}.now()
    OR (EXISTS (SELECT FROM {schema}.schedule_slot q WHERE q.schedule = s.name AND q.outcome = 'queued')
        AND (s.overlap = 'allow'
            OR NOT EXISTS (
                SELECT FROM (
                    SELECT b.run_id FROM {schema}.schedule_slot b
                    WHERE b.schedule = s.name AND b.outcome = 'started' ORDER BY b.slot DESC LIMIT 100) begun
                JOIN {schema}.run r ON r.id = begun.run_id WHERE r.status < 5))))
ORDER BY s.next_at
LIMIT 1
FOR UPDATE OF s SKIP LOCKED
