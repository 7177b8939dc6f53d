-- Takes due notifications for a time. Called by store/notifications.rs.
-- SKIP LOCKED: two workers take different ones. The attempt is the fence: what became of it is recorded only while it is the last.
-- A worker that dies says nothing; the next attempt is then due when the time is over.
-- Somebody is told of an order in order, by each channel: one that has an earlier one before it is not taken, and is due again
-- with that; so what waits behind one that fails for hours is not read over and over.
WITH due AS (
    SELECT id, order_id, recipient, channel, address, created_at FROM shop.notification
    WHERE state IN ('pending', 'failed') AND next_attempt_at <= now()
    ORDER BY next_attempt_at, created_at, id LIMIT $1
    FOR UPDATE SKIP LOCKED
), placed AS (
    SELECT d.id, first.state, first.next_attempt_at
    FROM due d LEFT JOIN LATERAL (
        SELECT e.state, e.next_attempt_at FROM shop.notification e
        WHERE e.order_id = d.order_id AND e.state IN ('pending', 'failed')
          AND (e.recipient, e.channel, e.address) = (d.recipient, d.channel, d.address)
          AND (e.created_at, e.id) < (d.created_at, d.id)
        ORDER BY e.created_at, e.id LIMIT 1
    ) first ON true
)
UPDATE shop.notification n
SET attempts = n.attempts + (p.state IS NULL)::int,
    next_attempt_at = CASE
        WHEN p.state IS NULL THEN now() + make_interval(secs => $2)
        WHEN p.state = 'failed' THEN greatest(p.next_attempt_at, now() + interval '100 ms')
        WHEN p.next_attempt_at > now() THEN now() + interval '500 ms' -- it is being sent, perhaps by a slow provider
        ELSE now() + interval '100 ms'
    END
FROM placed p WHERE n.id = p.id
RETURNING n.id, n.order_id, n.about, n.recipient, n.channel, n.address, n.locale, n.attempts, n.failures, p.state IS NULL AS is_first
