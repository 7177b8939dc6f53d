//! Kafka, against a real broker (Tansu, see scripts/ensure-broker.sh) over a proxy that can cut and freeze it.
//!
//! Where no broker can be had, `BACKSTITCH_WITHOUT_BROKER=1` leaves these out, and says so; else they fail.

mod broker;
mod sink;
#[path = "../support/mod.rs"]
mod support;
mod topics;
