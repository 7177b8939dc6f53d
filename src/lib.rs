//! Backstitch: durable workflows and sagas on plain Postgres.
pub mod bench;
pub mod embedded;
pub mod engine;
