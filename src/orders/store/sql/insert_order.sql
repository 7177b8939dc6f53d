-- Inserts an order, its lines and its event. Called by store/orders.rs, inside the transaction that starts the order's run.
-- One statement, because accepting an order is what customers wait for: each statement is a round trip.
-- o: one reading of the clock for both times, so that a new order has not changed since it was created.
WITH t AS MATERIALIZED (SELECT shop.now() AS now),
o AS (
    INSERT INTO shop.orders (id, run_id, customer_id, state, payment_state, stock_state, currency, total, refund_tiers,
                             address, lat, lon, deliver_at, created_at, updated_at)
    SELECT $1, $2, $3, 'created', 'none', 'none', $4, $5, $6, $7, $8, $9, $10, t.now, t.now FROM t
    RETURNING id, created_at
),
l AS (
    INSERT INTO shop.order_items (order_id, sku, quantity, price)
    SELECT o.id, k.sku, k.quantity, k.price
    FROM o, unnest($11::text[], $12::bigint[], $13::bigint[]) AS k(sku, quantity, price)
),
e AS (
    INSERT INTO shop.event (id, type, subject, dataschema, data)
    SELECT $14, $15, o.id::text, $16, $17::jsonb FROM o
)
SELECT created_at FROM o
