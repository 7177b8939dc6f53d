-- serves: 41
-- One more kind of difference: an order that has not come to its end, and whose run has.
ALTER TABLE shop.difference DROP CONSTRAINT IF EXISTS difference_kind_check;
ALTER TABLE shop.difference ADD CONSTRAINT difference_kind_check CHECK (kind IN
    ('captured_without_order', 'captured_twice', 'capture_unbooked', 'capture_missing', 'amount_differs', 'refund_missing',
     'refund_too_much', 'uncaptured_hold', 'stock_differs', 'stock_kept', 'books_differ', 'left_alone'));
