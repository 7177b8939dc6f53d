-- The block ranges of 0004, on the table that 0005 put in the place of the old one: they did not come along, and a workflow
-- with few runs was looked for in all of them. New weeks get theirs when they are attached.
DO $$ BEGIN
    EXECUTE 'CREATE INDEX IF NOT EXISTS run_workflow_ranges ON backstitch.run USING brin (workflow_id'
        || CASE WHEN current_setting('server_version_num')::int >= 140000 THEN ' int4_minmax_multi_ops' ELSE '' END
        || ') WITH (pages_per_range = 32)';
END $$;
