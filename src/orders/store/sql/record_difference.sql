-- Records a difference that a comparison saw. Called by store/differences.rs; side by side it makes one row of it.
-- What was mended after the comparison had read ($9), or written off as it is, stays mended. What went away and is back, or was
-- mended to no effect, is open again.
INSERT INTO shop.difference AS d (id, kind, about, order_id, payment_id, sku, expected, actual, currency, state, first_seen, last_seen)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10, 'open', shop.now(), shop.now())
ON CONFLICT (kind, about) DO UPDATE SET
    last_seen = shop.now(),
    expected = excluded.expected, actual = excluded.actual, currency = excluded.currency,
    first_seen = CASE WHEN d.state = 'gone' THEN shop.now() ELSE d.first_seen END,
    mend_run = CASE WHEN d.state = 'gone' THEN NULL ELSE d.mend_run END,
    state = CASE
        WHEN d.state = 'mended' AND (d.mended_at >= $9
            OR (d.mend = 'write_off' AND (d.expected, d.actual) = (excluded.expected, excluded.actual))) THEN 'mended'
        ELSE 'open'
    END
RETURNING state = 'open'
