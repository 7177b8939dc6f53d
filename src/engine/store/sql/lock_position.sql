-- Locks how far a partition of a topic has been handled. Called by store/received.rs: of two processes that read the same records,
-- the second finds the position moved and handles none of them.
SELECT next_offset FROM {schema}.topic_position WHERE source = $1 AND topic = $2 AND part = $3 FOR UPDATE
