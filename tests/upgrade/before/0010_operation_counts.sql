-- What became of an ended operation's runs, counted once. Null: it goes on, or a server of the version before ended it; then its runs
-- are counted by who asks.
ALTER TABLE backstitch.operation
    ADD COLUMN IF NOT EXISTS done    bigint,
    ADD COLUMN IF NOT EXISTS refused bigint;
