-- Locks orders until the transaction ends. Called by store/orders.rs, before any other lock of the shop.
-- k: the ids come sorted, and the rows are locked one by one in that order, so that two groups of orders can't deadlock.
-- p: pins the plans of what follows in this transaction. unnest() of a parameter is taken for ten rows, and a table that looks
--    empty would get a sequential scan cached for the time when it is not. Without the last, a scan that has no other way would
--    look so dear that Postgres compiles it.
WITH p AS MATERIALIZED (
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
           set_config('enable_mergejoin', 'off', true), set_config('random_page_cost', '0', true),
           set_config('jit', 'off', true)
)
SELECT o.* FROM p, unnest($1::uuid[]) AS k (id), LATERAL (SELECT * FROM shop.orders WHERE id = k.id FOR UPDATE) AS o
