-- Locks a schedule by its name. Called by store/schedules.rs before anything of it is decided or changed.
SELECT 1 FROM {schema}.schedule WHERE name = $1 FOR UPDATE
