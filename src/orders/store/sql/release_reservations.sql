-- Releases the reservations of an order, with the items locked by lock_reserved.sql. Called by store/reservations.rs.
-- b: what each hold was, because a committed one gives its units back on hand and a held one only frees them.
-- m: guarded by that state, so that a reservation is released once.
WITH b AS MATERIALIZED (
    SELECT sku, round, state FROM shop.reservations WHERE order_id = $1 AND state <> 'released' FOR UPDATE
),
m AS (
    UPDATE shop.reservations h SET state = 'released', updated_at = shop.now()
    FROM b WHERE h.order_id = $1 AND h.sku = b.sku AND h.round = b.round AND h.state = b.state
    RETURNING h.sku, h.quantity, b.state AS was
),
i AS (
    UPDATE shop.items i
    SET held = i.held - CASE m.was WHEN 'held' THEN m.quantity ELSE 0 END,
        on_hand = i.on_hand + CASE m.was WHEN 'committed' THEN m.quantity ELSE 0 END
    FROM m WHERE i.sku = m.sku
)
SELECT count(*) FROM m
