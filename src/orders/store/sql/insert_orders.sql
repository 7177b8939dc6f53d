-- Inserts orders with their lines, contacts and events. Called by store/orders.rs, inside the transaction that starts their runs.
-- One statement, because accepting an order is what customers wait for: each statement is a round trip.
-- t: one reading of the clock for all times, so that a new order has not changed since it was created.
WITH t AS MATERIALIZED (SELECT shop.now() AS now),
o AS (
    INSERT INTO shop.orders (id, run_id, customer_id, state, payment_state, stock_state, currency, total, refund_tiers,
                             address, lat, lon, deliver_at, created_at, updated_at)
    SELECT k.id, k.run_id, k.customer_id, 'created', 'none', 'none', k.currency, k.total, k.refund_tiers,
           k.address, k.lat, k.lon, k.deliver_at, t.now, t.now
    FROM t, unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                   $8::double precision[], $9::double precision[], $10::timestamptz[])
        AS k(id, run_id, customer_id, currency, total, refund_tiers, address, lat, lon, deliver_at)
),
l AS (
    INSERT INTO shop.order_items (order_id, sku, quantity, price)
    SELECT k.order_id, k.sku, k.quantity, k.price
    FROM unnest($11::uuid[], $12::text[], $13::bigint[], $14::bigint[]) AS k(order_id, sku, quantity, price)
),
c AS (
    INSERT INTO shop.order_contact (order_id, email, phone, locale)
    SELECT k.order_id, k.email, k.phone, k.locale
    FROM unnest($20::uuid[], $21::text[], $22::text[], $23::text[]) AS k(order_id, email, phone, locale)
),
e AS (
    INSERT INTO shop.event (id, type, subject, dataschema, data, at)
    SELECT k.id, k.type, k.subject, k.dataschema, k.data::jsonb, t.now
    FROM t, unnest($15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[]) AS k(id, type, subject, dataschema, data)
)
SELECT now FROM t
