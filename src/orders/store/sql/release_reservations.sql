-- Releases the reservations of orders, with the items locked by lock_reserved.sql, and gives the orders that had some. Called
-- by store/reservations.rs.
-- b: what each hold was, because a committed one gives its units back on hand and a held one only frees them.
-- m: guarded by that state, so that a reservation is released once.
-- i, e: an item of which nothing was left is an event when something is.
-- s: one sum an item, because an UPDATE takes only one of the rows that it is joined with.
WITH b AS MATERIALIZED (
    SELECT order_id, sku, round, state FROM shop.reservations WHERE order_id = ANY ($1) AND state <> 'released' FOR UPDATE
),
m AS (
    UPDATE shop.reservations h SET state = 'released', updated_at = (SELECT shop.now())
    FROM b WHERE h.order_id = b.order_id AND h.sku = b.sku AND h.round = b.round AND h.state = b.state
    RETURNING h.order_id, h.sku, h.quantity, b.state AS was
),
s AS (
    SELECT sku, coalesce(sum(quantity) FILTER (WHERE was = 'held'), 0)::bigint AS held,
           coalesce(sum(quantity) FILTER (WHERE was = 'committed'), 0)::bigint AS committed
    FROM m GROUP BY sku
),
i AS (
    UPDATE shop.items i SET held = i.held - s.held, on_hand = i.on_hand + s.committed FROM s WHERE i.sku = s.sku
    RETURNING i.sku, i.on_hand, i.held, s.held + s.committed AS freed
),
e AS (
    INSERT INTO shop.event (id, type, subject, dataschema, data)
    SELECT shop.new_event_id(), 'stock.replenished', sku, 'urn:backstitch:stock:1',
           jsonb_build_object('available', on_hand - held, 'on_hand', on_hand, 'held', held)
    FROM i WHERE freed > 0 AND on_hand - held = freed
)
SELECT DISTINCT order_id FROM m
