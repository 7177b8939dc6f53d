//! Promise: whatever happens around it, no acknowledged run is lost, no money is wrong, and nobody waits for ever.
//!
//! Each scenario is one kind of trouble, done to real processes over a real Postgres while customers order. Each ends the same way:
//! what was acknowledged is there, our books are the gateway's, nothing is in limbo or stuck, and no process has ended by itself.
//!
//! | part | is |
//! |---|---|
//! | `stage` | Postgres behind a proxy, the gateway simulator, an API and workers |
//! | `customers` | who orders meanwhile, and insists on an answer |
//! | `books` | the common end |
//!
//! `BACKSTITCH_TORTURE_ROUNDS` makes it longer (`make torture`), `BACKSTITCH_TEST_SEED` repeats the choices of an earlier time, and
//! `BACKSTITCH_BIN` names another binary.

mod books;
mod connections;
mod customers;
mod encodings;
mod full_disk;
mod hang_ups;
mod restored;
#[path = "../simulation/rng.rs"]
mod rng;
mod settings;
mod stage;
mod standby;
mod stopped;
#[path = "../support/mod.rs"]
mod support;
