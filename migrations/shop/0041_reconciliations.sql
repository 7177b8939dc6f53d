-- serves: 20
-- Comparisons with the gateway, one row per run: how far it is, what it found, why its last attempt failed.
CREATE TABLE shop.reconciliation (
    run_id      uuid        PRIMARY KEY,
    began_at    timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    phase       text        NOT NULL,
    payments    bigint      NOT NULL DEFAULT 0,
    orders      bigint      NOT NULL DEFAULT 0,
    refunds     bigint      NOT NULL DEFAULT 0,
    under_way   bigint      NOT NULL DEFAULT 0,
    unknown     bigint      NOT NULL DEFAULT 0,
    differences bigint      NOT NULL DEFAULT 0,
    error       text
);
CREATE INDEX reconciliation_age ON shop.reconciliation (began_at);
