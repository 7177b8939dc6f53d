-- The fence of a lane's own flush, heartbeat and lease in one. A part of flush.sql. NO KEY UPDATE by its kind: it excludes
-- claims, flushes and takeovers of this lane, and not the transactions of its steps.
(
    UPDATE {schema}.lane SET beat = clock_timestamp() WHERE id = $1 AND token = $26 AND alive
    RETURNING id, {schema}.now() AS now, beat
)
