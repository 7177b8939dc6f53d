-- How often a run was handed on to other workers because the code of the one that held it disagrees with its record:
-- during a deployment two builds of one version work side by side.
-- The version before keeps running: it never hands on.
ALTER TABLE {schema}.ready ADD COLUMN IF NOT EXISTS handed_on smallint NOT NULL DEFAULT 0;
