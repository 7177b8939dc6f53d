-- serves: 3
-- A lane gets a token that a restored database can't issue again, as it does ids; each fence asks for it. Lanes of the release
-- before get one without knowing of it, and go on. `release`: the newest migration that a worker's code knows, by which a later
-- migration can tell whether it may be applied while that worker lives.
ALTER TABLE {schema}.lane ADD COLUMN IF NOT EXISTS token uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE {schema}.worker ADD COLUMN IF NOT EXISTS release bigint NOT NULL DEFAULT 3;
