//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`bench`]: the standard load.
//! - [`orders`]: the order domain, with [`workflows`] and [`activities`] on the engine.
//! - [`payments`]: the payment port; [`gateway_sim`]: a gateway that misbehaves on demand.

pub mod activities;
pub mod bench;
pub mod cli;
pub mod embedded;
pub mod engine;
pub mod gateway_sim;
pub mod orders;
pub mod payments;
pub mod workflows;
