-- Makes this the one turn that numbers events. Called by store/outbox. SKIP LOCKED: a second one has nothing to do.
SELECT last, high FROM {schema}.event_head FOR UPDATE SKIP LOCKED
