//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`orders`]: the order domain, with [`workflows`] and [`activities`] on the engine.
//! - [`payments`]: the port to a payment gateway; [`gateway_sim`]: a gateway that misbehaves on demand.
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`http`] and [`cli`]: the faces; [`config`] and [`telemetry`]: what their processes share.
//! - [`mod@bench`]: the standard load.

#[cfg(feature = "shop")]
pub mod activities;
#[cfg(feature = "cli")]
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod engine;
#[cfg(feature = "shop")]
pub mod gateway_sim;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "shop")]
pub mod orders;
#[cfg(feature = "shop")]
pub mod payments;
mod secret;
#[cfg(all(feature = "server", feature = "shop"))]
pub mod shop;
#[cfg(any(feature = "server", feature = "otlp"))]
pub mod telemetry;
#[cfg(any(feature = "cli", feature = "otlp", feature = "shop"))]
pub mod tls;
#[cfg(feature = "shop")]
pub mod workflows;

pub use secret::Secret;
