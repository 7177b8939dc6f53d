//! Backstitch: durable workflows and sagas on plain Postgres.

pub mod cli;
pub mod gateway_sim;
pub mod payments;
