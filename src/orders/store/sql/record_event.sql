-- Records an event of the gateway, unless it is known, and locks its order. Called by store/inbox.rs. One statement, because
-- each is a round trip, and gateways send many events.
-- e: of two at the same moment the second waits here for the first one's commit, and gives no row.
-- o: locked, so that an order that is being closed at this moment is seen before or after, never in between.
WITH e AS (
    INSERT INTO shop.webhook_events (id, event_type, order_id, handled, body, made_at, received_at)
    VALUES ($1, $2, $3, $6, $5::json, to_timestamp($4::double precision), shop.now())
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT o.* FROM e LEFT JOIN LATERAL (SELECT * FROM shop.orders WHERE id = $3 FOR UPDATE) AS o ON true
