//! The HTTP face against a real server on a port of its own and a real Postgres: what clients may rely on.
//!
//! `server` is the fixture; each other file is one promise or one noun.

mod actions;
mod auth;
mod bad_input;
mod bench;
mod dashboards;
mod differences;
mod elsewhere;
mod events;
mod feed;
mod hangups;
mod holds;
mod hostile;
mod inbox;
mod internal;
mod limits;
mod metrics;
mod mounted;
mod notifications;
mod openapi;
mod operations;
mod outage;
mod overload;
mod refusal;
mod retention;
mod roles;
mod runs;
mod sample;
mod schedules;
mod search;
mod secrets;
mod server;
mod session;
mod shop;
mod sinks;
mod stdout;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod traces;
mod vendors;
