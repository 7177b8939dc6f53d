-- Writes the changing columns of orders. Called by store/orders.rs with the rows locked by lock_orders.sql in the same
-- transaction: that lock, not a condition here, is what keeps two writers apart. Which moves are legal is orders/state.rs's.
-- e: the events, in the same statement: they cost no round trip, and their places are drawn under the orders' locks.
WITH e AS (
    INSERT INTO shop.event (id, type, subject, dataschema, data, at)
    SELECT id, type, subject, dataschema, data::jsonb, (SELECT shop.now())
    FROM unnest($21::uuid[], $22::text[], $23::text[], $24::text[], $25::text[]) AS k (id, type, subject, dataschema, data)
)
UPDATE shop.orders o
SET run_id = k.run_id, state = k.state, cancel_reason = k.cancel_reason, payment_state = k.payment_state,
    stock_state = k.stock_state, captured = k.captured, refunded = k.refunded, intent_id = k.intent_id,
    address = k.address, lat = k.lat, lon = k.lon, deliver_at = k.deliver_at, placed_at = k.placed_at,
    dispatched_at = k.dispatched_at, delivered_at = k.delivered_at, cancel_at = k.cancel_at, cancel_by = k.cancel_by,
    cancel_bp = k.cancel_bp, cancel_note = k.cancel_note, updated_at = (SELECT shop.now())
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
            $9::text[], $10::text[], $11::float8[], $12::float8[], $13::timestamptz[], $14::timestamptz[],
            $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::text[], $19::int[], $20::text[])
    AS k (id, run_id, state, cancel_reason, payment_state, stock_state, captured, refunded, intent_id, address, lat, lon,
          deliver_at, placed_at, dispatched_at, delivered_at, cancel_at, cancel_by, cancel_bp, cancel_note)
WHERE o.id = k.id
