-- Makes this the one turn that numbers events. Called by store/outbox. SKIP LOCKED: a second one has nothing to do.
-- p: pins the plans of the rest of this transaction: a table that looked empty once would be read as a whole ever after.
WITH p AS MATERIALIZED (
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('random_page_cost', '0', true), set_config('jit', 'off', true)
)
SELECT h.last, h.high FROM p, {schema}.event_head h FOR UPDATE OF h SKIP LOCKED
