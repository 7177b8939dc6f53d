-- Two orders of a customer that are placed at once must not both be the last that is allowed. Called by store/orders.rs. A lock of
-- its own, because there is no row for a customer; a statement of its own, because the count has to be taken after the lock. In
-- one order, so that two groups with the same customers can't deadlock.
SELECT pg_advisory_xact_lock(k.lock) FROM (
    SELECT DISTINCT hashtextextended('backstitch customer ' || c.id, 0) AS lock FROM unnest($1::text[]) AS c (id) ORDER BY 1
) AS k
