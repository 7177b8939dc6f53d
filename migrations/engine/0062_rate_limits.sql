-- serves: 54
-- The token buckets that servers share: when each will be full again, and what its last draw was granted. A bucket that is full
-- needs no row. Unlogged: after a crash all are full, which costs nothing but a moment's limit.
CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.rate_bucket (
    name    text PRIMARY KEY,
    full_at timestamptz NOT NULL,
    granted int NOT NULL
);
