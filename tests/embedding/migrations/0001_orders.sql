-- The service's own tables. It has a schema `shop` and a table `orders`, as Backstitch's own example has: neither minds the other.
CREATE SCHEMA shop;

-- A customer's order for a tenant.
CREATE TABLE shop.orders (
    id     uuid PRIMARY KEY,
    tenant text NOT NULL UNIQUE,
    state  text NOT NULL DEFAULT 'ordered' CHECK (state IN ('ordered', 'provisioning', 'active', 'cancelled')),
    run_id uuid NOT NULL
);

CREATE TABLE orders (note text);

-- What the nightly audit found.
CREATE TABLE shop.audit (
    run_id  uuid PRIMARY KEY,
    tenants bigint NOT NULL
);
