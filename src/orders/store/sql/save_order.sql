-- Writes an order's changing columns. Called by store/orders.rs with the row locked by `lock` in the same transaction:
-- that lock, not a condition here, is what keeps two writers apart. Which moves are legal is orders/state.rs's.
UPDATE shop.orders
SET run_id = $2, state = $3, cancel_reason = $4, payment_state = $5, stock_state = $6, captured = $7, refunded = $8,
    intent_id = $9, address = $10, lat = $11, lon = $12, deliver_at = $13, placed_at = $14, dispatched_at = $15,
    delivered_at = $16, cancel_at = $17, cancel_by = $18, cancel_bp = $19, cancel_note = $20, updated_at = shop.now()
WHERE id = $1
