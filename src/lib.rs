//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`orders`]: the order domain, with [`workflows`] and [`activities`] on the engine.
//! - [`payments`]: the port to a payment gateway; [`gateway_sim`]: a gateway that misbehaves on demand.
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`http`] and [`cli`]: the faces; [`config`] and [`telemetry`]: what their processes share.
//! - [`mod@bench`]: the standard load.

pub mod activities;
pub mod bench;
pub mod cli;
pub mod config;
pub mod embedded;
pub mod engine;
pub mod gateway_sim;
pub mod http;
pub mod orders;
pub mod payments;
pub mod telemetry;
pub mod workflows;
