-- Locks an event from outside until the transaction ends. Called by store/received.rs: of two operators who retry or discard it,
-- the second sees what the first has done.
SELECT id, source, event_id, type, state, code, message, run_id, received_at, body
FROM {schema}.received_event WHERE id = $1 FOR UPDATE
