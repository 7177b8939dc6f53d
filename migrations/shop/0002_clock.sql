-- The shop's clock is the engine's, under a name of its own: the shop's statements need not know which schema the engine is in.
-- The planner replaces the call by its body.
CREATE FUNCTION shop.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT {schema}.now()';
ALTER TABLE shop.items ALTER COLUMN updated_at SET DEFAULT shop.now();
