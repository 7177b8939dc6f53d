//! What test binaries share. `mod support;`, then `TestDatabase::new().await` in a test.
//!
//! | module | gives |
//! |---|---|
//! | `dropping` | futures that are given up at each of their awaits |
//! | `database`, `server`, `settings` | a migrated database per test, on a server that tests share |
//! | `engine`, `script` | an engine with workers that a test can kill, and activities that follow the test's script |
//! | `mail` | a mail server that a test can kill |
//! | `proxy` | a network that cuts, delays, half-closes and freezes connections |
//! | `at_rest` | when orders are at rest, and what has to be true of the money then |
//! | `process` | the `backstitch` binary as processes that a test can stop and kill |
//! | `shop` | a gateway simulator and the order service |
//! | `wait` | waiting for facts instead of sleeping |

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary uses a part of this, and the compiler sees one binary at a time"
)]

pub mod at_rest;
mod database;
mod dropping;
pub mod engine;
mod mail;
pub mod process;
mod proxy;
pub mod script;
mod server;
mod settings;
pub mod shop;
mod wait;

pub use database::TestDatabase;
pub use dropping::{drop_at_each_await, no_transaction_is_open};
pub use mail::MailServer;
pub use proxy::{Proxy, Way};
pub use wait::{Session, backend_pid, wait_for, wait_for_lock, wait_for_within, wait_until, wait_until_within};
