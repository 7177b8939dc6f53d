-- Records what became of slots of one schedule ($1), whose row the caller has locked. Called by store/schedules.rs.
-- The key sees to it that each slot is decided once. A queued one is decided again when its time has come; any other that is
-- on record stays as it is, and is not among the slots that this gives back: nothing is to be started for it.
INSERT INTO {schema}.schedule_slot (schedule, slot, outcome, message, at)
SELECT $1, u.slot, u.outcome, u.message, {schema}.now()
FROM unnest($2::timestamptz[], $3::text[], $4::text[]) u(slot, outcome, message)
ON CONFLICT (schedule, slot) DO UPDATE
    SET outcome = excluded.outcome, message = excluded.message, at = excluded.at
    WHERE schedule_slot.outcome = 'queued'
RETURNING slot
