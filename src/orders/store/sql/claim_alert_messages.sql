-- Takes due messages for a time. Called by store/alerts.rs.
-- SKIP LOCKED: two processes take different ones. One that dies says nothing; the next attempt is then due when the time is over.
WITH due AS (
    SELECT id, target FROM shop.alert_message
    WHERE sent_at IS NULL AND next_attempt_at <= (SELECT shop.now()) AND target = ANY ($1)
    ORDER BY next_attempt_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE shop.alert_message m
SET attempts = m.attempts + 1, next_attempt_at = (SELECT shop.now()) + make_interval(secs => $3)
FROM due WHERE m.id = due.id AND m.target = due.target
RETURNING m.id, m.target, m.subject, m.text, m.body, m.attempts
