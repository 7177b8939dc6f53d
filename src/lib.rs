//! Backstitch: durable workflows and sagas on plain Postgres.
//!
//! - [`engine`]: the library. Write a [`engine::Workflow`] and its [`engine::Activity`]s, put them into a
//!   [`engine::Registry`], start runs through [`engine::Engine`], execute them with [`engine::Worker`].
//! - [`embedded`]: a Postgres of one's own, from an installed server's binaries.
//! - [`bench`]: the standard load.

pub mod bench;
pub mod embedded;
pub mod engine;
pub mod http;
