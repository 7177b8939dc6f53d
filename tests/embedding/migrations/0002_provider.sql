-- Stands in for a cloud provider with an API of its own: what is done here commits apart from any step's record.
CREATE SCHEMA provider;

-- What exists there, by the caller's idempotency key. A released resource stays on record, as a provider's does.
CREATE TABLE provider.resource (
    key      text PRIMARY KEY,
    kind     text NOT NULL,
    tenant   text NOT NULL,
    released boolean NOT NULL DEFAULT false
);

-- Every call that arrived, in order: what the test looks at.
CREATE TABLE provider.call (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verb   text NOT NULL,
    kind   text NOT NULL,
    tenant text NOT NULL
);
