-- Holds every line of orders, with the items locked by lock_lines.sql. Called by store/reservations.rs.
-- h: a new round if an order has held stock before. Its number is one more than there are released ones, so that the key refuses
--    a second active hold of a line; and the check on items refuses to hold more than there is: both are backstops, not the rule.
-- i: an item of which nothing is left is an event.
-- s: one sum an item, because an UPDATE takes only one of the rows that it is joined with.
WITH h AS (
    INSERT INTO shop.reservations (order_id, sku, round, quantity, state, created_at, updated_at)
    SELECT l.order_id, l.sku,
           (SELECT count(*) + 1 FROM shop.reservations p
            WHERE p.order_id = l.order_id AND p.sku = l.sku AND p.state = 'released'),
           l.quantity, 'held', (SELECT shop.now()), (SELECT shop.now())
    FROM shop.order_items l WHERE l.order_id = ANY ($1)
    RETURNING sku, quantity
),
s AS (SELECT sku, sum(quantity)::bigint AS quantity FROM h GROUP BY sku),
i AS (
    UPDATE shop.items i SET held = i.held + s.quantity FROM s WHERE i.sku = s.sku
    RETURNING i.sku, i.on_hand, i.held, s.quantity
)
INSERT INTO shop.event (id, type, subject, dataschema, data, at)
SELECT shop.new_event_id(), 'stock.depleted', sku, 'urn:backstitch:stock:1',
       jsonb_build_object('available', 0, 'on_hand', on_hand, 'held', held), (SELECT shop.now())
FROM i WHERE on_hand = held AND quantity > 0
