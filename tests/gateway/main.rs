//! The payment port and the gateway simulator against each other: a real server, a real client.
//!
//! What a merchant has to rely on is asserted from both sides: what the port says, and what the
//! simulator's own ledger says really happened.

mod acquirer;
mod bench;
mod client;
mod faults;
mod http;
mod idempotency;
mod late;
mod refunds;
mod restart;
#[path = "../support/mod.rs"]
mod support;
mod unreadable;
mod webhooks;
