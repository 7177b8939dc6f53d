-- Runs that take on from another one (forks, late payments): few, and looked for by whoever looks at the first one.
CREATE INDEX IF NOT EXISTS run_parent ON backstitch.run (parent_id) WHERE parent_id IS NOT NULL;
