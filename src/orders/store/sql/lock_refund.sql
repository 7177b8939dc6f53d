-- Locks one refund of an order. Called by store/refunds.rs, with the order locked by lock_orders.sql.
SELECT no, amount, state, escalated_at IS NOT NULL AS escalated
FROM shop.refunds WHERE order_id = $1 AND no = $2 FOR UPDATE
