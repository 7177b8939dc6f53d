-- Locks those of some orders that are free, and gives those that somebody else has locked. Called by store/orders.rs.
-- free: one by one, as in lock_orders.sql; nobody is waited for.
WITH free AS MATERIALIZED (
    SELECT o.id FROM unnest($1::uuid[]) AS k (id),
        LATERAL (SELECT id FROM shop.orders WHERE id = k.id FOR UPDATE SKIP LOCKED) AS o
)
SELECT id FROM shop.orders WHERE id = ANY ($1) AND id <> ALL (ARRAY(SELECT id FROM free))
