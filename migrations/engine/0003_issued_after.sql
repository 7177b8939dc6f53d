-- The name that the code has for it: how many outcomes had been handed over when the step was issued. Servers of the version
-- before name the old one: stop them first.
ALTER TABLE {schema}.step RENAME COLUMN asked TO issued_after;
