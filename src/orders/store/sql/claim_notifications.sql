-- Takes due notifications for a time. Called by store/notifications.rs.
-- SKIP LOCKED: two workers take different ones. The attempt is the fence: what became of it is recorded only while it is the last.
-- A worker that dies says nothing; the next attempt is then due when the time is over.
WITH due AS (
    SELECT id FROM shop.notification
    WHERE state IN ('pending', 'failed') AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE shop.notification n
SET attempts = n.attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
FROM due WHERE n.id = due.id
RETURNING n.id, n.order_id, n.about, n.recipient, n.channel, n.address, n.locale, n.attempts, n.failures
