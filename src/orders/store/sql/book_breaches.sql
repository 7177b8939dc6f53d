-- What does not add up in the shop's own books, as differences and in sentences. Called by store/books.rs.
-- $2: orders that changed later, or whose money is under way, are left out; null: none is. $3: neither are older orders read.
-- One snapshot: an order that moves meanwhile is seen as it was at its beginning. The reservations of all items are summed up.
-- o: an order whose records are read.
WITH o AS (
    SELECT id, state, cancel_reason, payment_state, stock_state, currency, total, captured, refunded FROM shop.orders
    WHERE id >= $3 AND ($2::timestamptz IS NULL
        OR (updated_at <= $2 AND payment_state NOT IN ('pending', 'unknown', 'refund_pending')))
)
SELECT kind, order_id, sku, expected::bigint, actual::bigint, currency, breach FROM (
    SELECT 'stock_differs' AS kind, NULL::uuid AS order_id, i.sku, coalesce(h.units, 0) AS expected, i.held AS actual,
        NULL::text AS currency,
        format('item %s says that %s units are held; its reservations say %s', i.sku, i.held, coalesce(h.units, 0)) AS breach
    FROM shop.items i
    LEFT JOIN (SELECT sku, sum(quantity) AS units FROM shop.reservations WHERE state = 'held' GROUP BY sku) h ON h.sku = i.sku
    WHERE i.held <> coalesce(h.units, 0)
    UNION ALL
    SELECT 'books_differ', o.id, NULL, 0, sum(h.quantity), NULL,
        format('order %s says that its stock is %s, and its reservation of %s is %s', o.id, o.stock_state,
            string_agg(h.sku, ', ' ORDER BY h.sku), min(h.state))
    FROM o JOIN shop.reservations h ON h.order_id = o.id
    WHERE h.round = (SELECT max(l.round) FROM shop.reservations l WHERE l.order_id = h.order_id AND l.sku = h.sku)
      AND h.state <> o.stock_state AND NOT (o.state = 'cancelled' AND h.state <> 'released')
    GROUP BY o.id, o.stock_state
    UNION ALL
    SELECT 'stock_kept', o.id, NULL, 0, sum(h.quantity), NULL, format('order %s is cancelled, and still has units', o.id)
    FROM o JOIN shop.reservations h ON h.order_id = o.id AND h.state <> 'released'
    WHERE o.state = 'cancelled'
    GROUP BY o.id
    UNION ALL
    SELECT 'books_differ', o.id, NULL, o.total, l.sum, o.currency,
        format('order %s costs %s, and its lines add up to %s', o.id, o.total, l.sum)
    FROM o JOIN (SELECT order_id, sum(quantity * price) FROM shop.order_items WHERE order_id >= $3 GROUP BY order_id) l ON l.order_id = o.id
    WHERE l.sum <> o.total
    UNION ALL
    SELECT 'books_differ', o.id, NULL, sum(l.quantity), coalesce(sum(h.quantity), 0), NULL,
        format('order %s has lines of %s units, and reservations of %s', o.id, sum(l.quantity), coalesce(sum(h.quantity), 0))
    FROM o JOIN shop.order_items l ON l.order_id = o.id
    LEFT JOIN LATERAL (SELECT quantity FROM shop.reservations r WHERE (r.order_id, r.sku) = (l.order_id, l.sku)
        ORDER BY r.round DESC LIMIT 1) h ON true
    WHERE o.stock_state IN ('held', 'committed')
    GROUP BY o.id
    HAVING sum(l.quantity) <> coalesce(sum(h.quantity), 0)
    UNION ALL
    SELECT 'books_differ', o.id, NULL, o.captured, o.refunded, o.currency,
        format('order %s says that its payment is %s, with %s captured and %s refunded', o.id, o.payment_state, o.captured,
            o.refunded)
    FROM o
    WHERE CASE o.payment_state
        WHEN 'captured' THEN o.captured = 0 OR o.refunded <> 0
        WHEN 'partially_refunded' THEN o.refunded = 0 OR o.refunded >= o.captured
        WHEN 'refunded' THEN o.captured = 0 OR o.refunded <> o.captured
        WHEN 'refund_pending' THEN o.captured = 0
        WHEN 'refund_failed' THEN o.captured = 0
        ELSE o.captured <> 0
    END
    UNION ALL
    SELECT 'books_differ', o.id, NULL, o.total, o.captured, o.currency,
        format('order %s is %s with %s of %s captured', o.id, o.state, o.captured, o.total)
    FROM o
    WHERE o.state IN ('placed', 'processing', 'shipped', 'delivered') AND o.captured <> o.total
    UNION ALL
    SELECT 'books_differ', o.id, NULL, o.captured, o.refunded, o.currency,
        format('order %s is cancelled by %s, and keeps %s of %s', o.id, o.cancel_reason, o.captured - o.refunded, o.captured)
    FROM o
    WHERE o.state = 'cancelled' AND o.cancel_reason <> 'customer' AND o.payment_state <> 'refund_failed'
      AND o.refunded <> o.captured
    UNION ALL
    SELECT 'books_differ', o.id, NULL, r.sum, o.refunded, o.currency,
        format('order %s: %s refunded by its refunds, %s by itself', o.id, r.sum, o.refunded)
    FROM o
    JOIN (SELECT order_id, sum(amount) FROM shop.refunds WHERE state = 'succeeded' GROUP BY order_id) r ON r.order_id = o.id
    WHERE r.sum <> o.refunded
) breaches
ORDER BY breach
LIMIT $1
