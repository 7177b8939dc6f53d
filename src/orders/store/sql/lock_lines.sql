-- Locks the items of orders' lines and says what is wanted and available of each. Called by store/reservations.rs.
-- Rows are locked in the order in which they come out, so ORDER BY sku is the lock order that keeps two groups of orders with
-- the same items from waiting for each other. After a wait the figures are those of the row's newest version.
SELECT l.order_id, i.sku, l.quantity AS wanted, i.on_hand - i.held AS available
FROM shop.order_items l JOIN shop.items i ON i.sku = l.sku
WHERE l.order_id = ANY ($1)
ORDER BY i.sku
FOR UPDATE OF i
