//! What the database tests share: a database of their own, and waiting for facts instead of sleeping.
//!
//! `mod support;` in a test binary, then `TestDatabase::new().await` in a test. Nothing here knows what is tested.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test binary uses a part of this, and the compiler sees one binary at a time"
)]

mod database;
pub mod engine;
pub mod script;
mod server;
mod settings;
pub mod shop;
mod wait;

pub use database::TestDatabase;
pub use wait::{Session, backend_pid, wait_for, wait_for_lock, wait_for_within, wait_until, wait_until_within};
