-- Takes the lines of an order that is archived off the live tables. Called by store/history.rs.
-- Who sold them is told of the order's end, which is read only later: in the same statement, so that an order has its sellers in
-- one place or the other.
WITH gone AS (
    DELETE FROM shop.order_items WHERE order_id = $1 RETURNING order_id, sku
)
INSERT INTO shop.order_seller (order_id, seller_id, email)
SELECT DISTINCT g.order_id, i.seller_id, i.seller_email FROM gone g JOIN shop.items i USING (sku)
WHERE i.seller_id IS NOT NULL AND i.seller_email IS NOT NULL
ON CONFLICT DO NOTHING
