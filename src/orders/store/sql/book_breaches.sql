-- What does not add up in the shop's own books, in sentences. Called by store/books.rs; reads whole tables.
-- One snapshot: an order that moves meanwhile is seen as it was at its beginning.
SELECT breach FROM (
    SELECT format('item %s says that %s units are held; its reservations say %s', i.sku, i.held, coalesce(h.units, 0)) AS breach
    FROM shop.items i
    LEFT JOIN (SELECT sku, sum(quantity) AS units FROM shop.reservations WHERE state = 'held' GROUP BY sku) h ON h.sku = i.sku
    WHERE i.held <> coalesce(h.units, 0)
    UNION ALL
    SELECT format('order %s says that its stock is %s, and its reservation of %s is %s', o.id, o.stock_state, h.sku, h.state)
    FROM shop.orders o JOIN shop.reservations h ON h.order_id = o.id
    WHERE h.round = (SELECT max(l.round) FROM shop.reservations l WHERE l.order_id = h.order_id AND l.sku = h.sku)
      AND h.state <> o.stock_state
    UNION ALL
    SELECT format('order %s is cancelled, and still has units', o.id)
    FROM shop.orders o
    WHERE o.state = 'cancelled' AND EXISTS (SELECT FROM shop.reservations h WHERE h.order_id = o.id AND h.state <> 'released')
    UNION ALL
    SELECT format('order %s is %s with %s of %s captured', o.id, o.state, o.captured, o.total)
    FROM shop.orders o
    WHERE o.state IN ('placed', 'processing', 'shipped', 'delivered') AND o.captured <> o.total
    UNION ALL
    SELECT format('order %s is cancelled by %s, and keeps %s of %s', o.id, o.cancel_reason, o.captured - o.refunded, o.captured)
    FROM shop.orders o
    WHERE o.state = 'cancelled' AND o.cancel_reason <> 'customer' AND o.payment_state <> 'refund_failed'
      AND o.refunded <> o.captured
    UNION ALL
    SELECT format('order %s: %s refunded by its refunds, %s by itself', o.id, r.sum, o.refunded)
    FROM shop.orders o
    JOIN (SELECT order_id, sum(amount) FROM shop.refunds WHERE state = 'succeeded' GROUP BY order_id) r ON r.order_id = o.id
    WHERE r.sum <> o.refunded
) breaches
ORDER BY breach
LIMIT $1
