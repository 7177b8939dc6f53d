-- Locks the items whose stock an order holds or has taken, by sku: the same lock order as lock_lines.sql, from the ledger
-- instead of the lines, which an archived order has no more. Called by store/holds.rs before holds are moved.
SELECT i.sku FROM shop.items i
WHERE i.sku IN (SELECT h.sku FROM shop.holds h WHERE h.order_id = $1 AND h.state <> 'released')
ORDER BY i.sku
FOR UPDATE OF i
