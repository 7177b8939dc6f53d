-- Orders that are not at rest, and runs that are not an order's and have not ended. Called by at_rest.rs.
SELECT concat_ws(' ', 'order', o.id, o.state, o.cancel_reason, o.payment_state, o.stock_state, 'run', r.id, r.status, r.wait_kind, r.wait_name,
    r.failure)
FROM shop.orders o LEFT JOIN backstitch.run r ON r.id = o.run_id
WHERE ((o.state = 'processing' AND r.status = 1 AND r.wait_kind = 'signal' AND r.wait_until IS NULL)
    OR (o.state = 'cancelled' AND r.status IN (5, 6))) IS NOT TRUE
UNION ALL
SELECT concat_ws(' ', 'run', r.id, w.name, r.status, r.wait_kind, r.wait_name, r.failure)
FROM backstitch.run r JOIN backstitch.workflow w ON w.id = r.workflow_id
WHERE r.status NOT IN (5, 6) AND NOT EXISTS (SELECT FROM shop.orders o WHERE o.run_id = r.id)
