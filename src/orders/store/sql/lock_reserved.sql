-- Locks the items whose stock orders hold or have taken, by sku: the same lock order as lock_lines.sql, from the ledger
-- instead of the lines, which an archived order has no more. Called by store/reservations.rs before reservations are moved.
SELECT i.sku FROM shop.items i
WHERE i.sku IN (SELECT h.sku FROM shop.reservations h WHERE h.order_id = ANY ($1) AND h.state <> 'released')
ORDER BY i.sku
FOR UPDATE OF i
