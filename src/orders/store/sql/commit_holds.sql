-- Commits the holds of an order, with the items locked by lock_held.sql. Called by store/holds.rs.
-- m: guarded by the state that it moves from, so that a second commit, or one after a release, moves nothing and the
--    items are left alone.
WITH m AS (
    UPDATE shop.holds SET state = 'committed', updated_at = backstitch.now()
    WHERE order_id = $1 AND state = 'held'
    RETURNING sku, quantity
),
i AS (
    UPDATE shop.items i SET held = i.held - m.quantity, on_hand = i.on_hand - m.quantity FROM m WHERE i.sku = m.sku
)
SELECT count(*) FROM m
