-- Reads items, and locks customers whose orders are counted afterwards. Called by store/items.rs. One statement, because accepting an
-- order is what customers wait for: each statement is a round trip.
-- l: two orders of a customer that are placed at once must not both be the last that is allowed. A lock of its own, because there is
--    no row for a customer; the count is another statement, because it has to be taken after the lock. In one order, so that two
--    groups with the same customers can't deadlock. Nobody reads l; without the count it would not be carried out.
-- (SELECT $1): a list of keys is taken for ten, where Postgres would count those of a parameter: then a plan for the one that is
--    given looks better than the one for any number, and each call is planned anew, which takes longer than the call. LATERAL: no
--    join with the whole table. A plan from when there were few items may read them all until autovacuum counts them again; orders,
--    which become many within that time, are better planned anew.
WITH l AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(k.lock) FROM (
        SELECT DISTINCT hashtextextended('backstitch customer ' || c.id, 0) AS lock FROM unnest($2::text[]) AS c (id) ORDER BY 1
    ) AS k
)
SELECT i.* FROM unnest((SELECT $1::text[])) AS k (sku),
    LATERAL (SELECT sku, name, price, currency, on_hand, held FROM shop.items WHERE items.sku = k.sku LIMIT 1) AS i
WHERE (SELECT count(*) FROM l) >= 0
