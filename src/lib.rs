//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`http`] and [`cli`]: the faces.
//! - [`bench`]: the standard load.
//! - [`payments`]: the payment port; [`gateway_sim`]: a gateway that misbehaves on demand.

pub mod bench;
pub mod cli;
pub mod config;
pub mod embedded;
pub mod engine;
pub mod gateway_sim;
pub mod http;
pub mod payments;
pub mod telemetry;
