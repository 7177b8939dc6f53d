//! Durable workflows and sagas on plain Postgres.
//!
//! A workflow is an async function over activities. Each step's outcome is recorded in Postgres, so a run goes on where it
//! was after a crash, a deploy or a takeover by another worker. When a run fails or is cancelled, the steps that were done,
//! or may have been, are undone in reverse order.
//!
//! # A complete workflow
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use backstitch::engine::{
//!     Activity, ActivityContext, ActivityError, Context, Engine, Failure, Registry, StartRun, Verified, WorkerConfig,
//!     Workflow,
//! };
//! use serde::{Deserialize, Serialize};
//! use tokio_util::sync::CancellationToken;
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct Mailbox {
//!     address: String,
//! }
//!
//! /// Creates a mailbox at a mail provider. The client stands in a field; what to do stands in the input.
//! struct CreateMailbox(MailProvider);
//!
//! impl Activity for CreateMailbox {
//!     const NAME: &'static str = "create_mailbox";
//!     const UNDOABLE: bool = true;
//!     const VERIFIABLE: bool = true;
//!     type Input = Mailbox;
//!     type Output = ();
//!
//!     // Runs at least once. `cx.key()` stays the same over retries, crashes and takeovers.
//!     async fn run(&self, cx: &ActivityContext, mailbox: &Mailbox) -> Result<(), ActivityError> {
//!         self.0.create(&mailbox.address, cx.key()).await
//!     }
//!
//!     // Asked when nobody knows whether an attempt took effect: after a timeout, or a crash during the call.
//!     async fn verify(&self, _: &ActivityContext, mailbox: &Mailbox) -> Result<Verified<()>, ActivityError> {
//!         Ok(if self.0.exists(&mailbox.address).await? { Verified::Happened(()) } else { Verified::NeverWill })
//!     }
//!
//!     // Must be safe to call even if the mailbox was never created.
//!     async fn undo(&self, _: &ActivityContext, mailbox: &Mailbox, _: Option<&()>) -> Result<(), ActivityError> {
//!         self.0.delete(&mailbox.address).await
//!     }
//! }
//!
//! /// Creates a mailbox, and waits for its owner to confirm it.
//! struct OpenMailbox;
//!
//! impl Workflow for OpenMailbox {
//!     const NAME: &'static str = "open_mailbox";
//!     type Input = Mailbox;
//!     type Output = ();
//!
//!     async fn run(&self, cx: &Context, mailbox: Mailbox) -> Result<(), Failure> {
//!         cx.call::<CreateMailbox>(mailbox).await?;
//!         let confirmed = cx.signal::<()>("confirmed").within(Duration::from_secs(86_400)).await?;
//!         // A failure undoes what was done: the mailbox is deleted again.
//!         confirmed.ok_or_else(|| Failure::new("not_confirmed", "nobody confirmed the mailbox within a day"))
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = sqlx::PgPool::connect("postgres://localhost/mail").await?;
//!     let registry = Registry::new().workflow(OpenMailbox).activity(CreateMailbox(MailProvider));
//!     let engine = Engine::new(pool, registry);
//!     engine.migrate().await?;
//!
//!     // All that a service has to spawn: a worker and maintenance.
//!     let stop = CancellationToken::new();
//!     let working = tokio::spawn(engine.clone().work(WorkerConfig::default(), stop.clone().cancelled_owned()));
//!
//!     // The same key again gives the first run.
//!     let mailbox = Mailbox { address: "ann@example.com".to_owned() };
//!     let run = engine.start(StartRun::new::<OpenMailbox>(&mailbox)?.key("ann")).await?.run;
//!     engine.signal(run, "confirmed", None, None).await?;
//!     let result = engine.result(run, Duration::from_secs(30)).await?;
//!     println!("{}", result.status);
//!
//!     stop.cancel(); // the worker drains
//!     working.await??;
//!     Ok(())
//! }
//! # #[derive(Clone)]
//! # struct MailProvider;
//! # impl MailProvider {
//! #     async fn create(&self, _: &str, _: &str) -> Result<(), ActivityError> { Ok(()) }
//! #     async fn exists(&self, _: &str) -> Result<bool, ActivityError> { Ok(true) }
//! #     async fn delete(&self, _: &str) -> Result<(), ActivityError> { Ok(()) }
//! # }
//! ```
//!
//! # Features
//!
//! Without features the crate is the engine alone ([`engine`]). Take it with `default-features = false`.
//!
//! | feature | adds |
//! |---|---|
//! | `server` | `http`: the REST API and the dashboard as an axum router that mounts under any path; `inbox`: events from outside |
//! | `cli` | `cli`: the command line, for any service that mounts the router; implies `server` |
//! | `embedded` | `embedded`: a Postgres from an installed server's binaries, for tests and trials; Unix only |
//! | `otlp` | `telemetry::Traces`: attempts as spans, to an OpenTelemetry collector |
//! | `shop` | `orders`, `notices`, `payments`, `activities`, `workflows`, `gateway_sim`: the order workflow, as an example of size |
//! | `kafka` | `kafka`: events to and from topics; implies `server` |
//! | `mimalloc` | the allocator of the binary |
//!
//! `default` is what the binary `backstitch` needs: all but `otlp`.
//!
//! # Versions
//!
//! The crate follows semantic versioning; before 1.0 a minor version may break. It is built and tested with Rust 1.95, its
//! minimum; a newer minimum is a minor version. sqlx, axum, askama and utoipa are part of the API where their types are. A
//! database is upgraded in place by [`engine::Engine::migrate`]; workers of two neighbouring versions may overlap. Postgres 13
//! and newer.

#![warn(clippy::print_stdout)] // it panics where stdout takes no more: `cli::output` reports it

#[cfg(feature = "shop")]
pub mod activities;
#[cfg(all(feature = "cli", feature = "embedded"))]
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
#[cfg(feature = "server")]
pub mod inbox;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "shop")]
pub mod notices;
#[cfg(feature = "shop")]
pub mod orders;
#[cfg(feature = "shop")]
pub mod payments;
mod secret;
#[cfg(all(feature = "server", feature = "shop"))]
pub mod shop;
#[cfg(any(feature = "server", feature = "shop"))]
mod signing;
#[cfg(feature = "cli")]
pub mod sinks;
#[cfg(any(feature = "server", feature = "otlp"))]
pub mod telemetry;
#[cfg(any(feature = "cli", feature = "otlp", feature = "shop"))]
pub mod tls;
#[cfg(feature = "cli")]
pub mod transfer;
#[cfg(feature = "shop")]
pub mod workflows;

pub use secret::Secret;
