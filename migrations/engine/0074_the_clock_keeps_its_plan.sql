-- serves: 54
-- A function in SQL is planned at each statement that calls it, which took as long as half of a small flush; one in PL/pgSQL keeps
-- its plan for the session.
CREATE OR REPLACE FUNCTION {schema}.now() RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    moved interval;
BEGIN
    SELECT shift INTO moved FROM {schema}.clock;
    RETURN statement_timestamp() + moved;
END
$$;
