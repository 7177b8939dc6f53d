-- Commits the reservations of orders, with the items locked by lock_reserved.sql, and gives the time, which is after all
-- waiting. Called by store/reservations.rs.
-- m: guarded by the state that it moves from, so that a second commit, or one after a release, moves nothing and the
--    items are left alone.
-- s: one sum an item, because an UPDATE takes only one of the rows that it is joined with.
WITH m AS (
    UPDATE shop.reservations SET state = 'committed', updated_at = (SELECT shop.now())
    WHERE order_id = ANY ($1) AND state = 'held'
    RETURNING sku, quantity
),
s AS (SELECT sku, sum(quantity)::bigint AS quantity FROM m GROUP BY sku),
i AS (
    UPDATE shop.items i SET held = i.held - s.quantity, on_hand = i.on_hand - s.quantity FROM s WHERE i.sku = s.sku
)
SELECT shop.now()
