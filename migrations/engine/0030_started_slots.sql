-- An index for the question whether any run of a schedule is still going on: asked about once a second.
-- The version before keeps running; it asks about the latest run only.
CREATE INDEX IF NOT EXISTS schedule_slot_started ON {schema}.schedule_slot (schedule, slot) WHERE outcome = 'started';
