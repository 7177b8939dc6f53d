-- Locks an order's row until the transaction ends. Called by store/orders.rs, before any other lock of the shop.
SELECT * FROM shop.orders WHERE id = $1 FOR UPDATE
