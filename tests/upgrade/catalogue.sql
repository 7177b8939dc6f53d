-- Everything about the schemas `backstitch` and `shop` that a statement could notice, a line each: tables with their options and
-- partition bounds, columns in order with type, default and identity, constraints, indexes, sequences, functions. Left out: the
-- bookkeeping's rows. Called by tests/engine/upgrade.rs.
WITH n AS (SELECT oid, nspname AS name FROM pg_namespace WHERE nspname IN ('backstitch', 'shop')),
c AS (SELECT c.*, n.name AS schema FROM pg_class c JOIN n ON n.oid = c.relnamespace)
SELECT concat_ws(' ', 'relation', c.schema, c.relname, c.relkind, c.relpersistence, c.reloptions::text,
    pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid))
FROM c
UNION ALL
SELECT concat_ws(' ', 'column', c.schema, c.relname,
    row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, pg_get_expr(d.adbin, d.adrelid))
FROM c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT concat_ws(' ', 'constraint', c.schema, c.relname, k.conname, k.convalidated, pg_get_constraintdef(k.oid))
FROM c JOIN pg_constraint k ON k.conrelid = c.oid
UNION ALL
SELECT concat_ws(' ', 'index', c.schema, pg_get_indexdef(c.oid), i.indisvalid, i.indisprimary)
FROM c JOIN pg_index i ON i.indexrelid = c.oid
UNION ALL
SELECT concat_ws(' ', 'sequence', c.schema, c.relname, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqcycle)
FROM c JOIN pg_sequence s ON s.seqrelid = c.oid
UNION ALL
SELECT concat_ws(' ', 'function', n.name, pg_get_functiondef(p.oid)) FROM n JOIN pg_proc p ON p.pronamespace = n.oid
UNION ALL
SELECT concat_ws(' ', 'trigger', c.schema, c.relname, pg_get_triggerdef(t.oid))
FROM c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
ORDER BY 1
