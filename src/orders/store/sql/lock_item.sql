-- Locks an item before its units are counted: reservations of it are made and moved under the same lock. Called by store/items.rs.
SELECT sku FROM shop.items WHERE sku = $1 FOR UPDATE
