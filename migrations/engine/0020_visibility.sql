-- Who may start a workflow's runs. An internal one's are started by its service and by schedules; from callers they take only
-- the signals named here. A worker that registers the version sets both. The version before does not look at them.
ALTER TABLE {schema}.workflow
    ADD COLUMN internal boolean NOT NULL DEFAULT false,
    ADD COLUMN public_signals text[] NOT NULL DEFAULT '{}';
