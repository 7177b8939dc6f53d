//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`payments`]: the port to a payment gateway; [`gateway_sim`]: a gateway that misbehaves on demand.
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`bench`]: the standard load. [`cli`]: the binary's verbs.

pub mod bench;
pub mod cli;
pub mod embedded;
pub mod engine;
pub mod gateway_sim;
pub mod payments;
