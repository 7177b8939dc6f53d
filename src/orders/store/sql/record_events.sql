-- Records events of gateways, unless they are known, and locks their orders. Called by store/inbox.rs. One statement, because
-- each is a round trip, and gateways send many events.
-- e: of two at the same moment the second waits here for the first one's commit, and gives no row. Sorted, so that two groups of
--    events can't deadlock.
-- o: locked one by one by id, as lock_orders.sql does, so that an order that is being closed at this moment is seen before or
--    after, never in between.
WITH e AS (
    INSERT INTO shop.webhook_events (id, event_type, order_id, handled, body, made_at, received_at)
    SELECT k.id, k.event_type, k.order_id, k.handled, k.body::json, to_timestamp(k.made_at), (SELECT shop.now())
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::double precision[])
        AS k(id, event_type, order_id, handled, body, made_at)
    ORDER BY k.id
    ON CONFLICT DO NOTHING
    RETURNING id, order_id
)
SELECT e.id AS event, o.* FROM (SELECT * FROM e ORDER BY order_id) AS e
LEFT JOIN LATERAL (SELECT * FROM shop.orders WHERE id = e.order_id FOR UPDATE) AS o ON true
