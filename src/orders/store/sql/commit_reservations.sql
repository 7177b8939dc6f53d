-- Commits the reservations of an order, with the items locked by lock_reserved.sql. Called by store/reservations.rs.
-- m: guarded by the state that it moves from, so that a second commit, or one after a release, moves nothing and the
--    items are left alone.
WITH m AS (
    UPDATE shop.reservations SET state = 'committed', updated_at = shop.now()
    WHERE order_id = $1 AND state = 'held'
    RETURNING sku, quantity
),
i AS (
    UPDATE shop.items i SET held = i.held - m.quantity, on_hand = i.on_hand - m.quantity FROM m WHERE i.sku = m.sku
)
SELECT count(*) FROM m
