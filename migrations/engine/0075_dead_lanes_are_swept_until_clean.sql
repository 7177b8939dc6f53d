-- serves: 54
-- Whoever looks for what dead lanes have left behind reads all of `ready`. Once nothing is left on a lane, nothing ever will be: then it
-- is swept, and not looked for again. Otherwise every worker would read the table every few seconds for a day after each deploy.
ALTER TABLE {schema}.lane ADD COLUMN swept boolean NOT NULL DEFAULT false;
