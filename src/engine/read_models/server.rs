//! What a server says of itself.

use serde::Serialize;

/// What a server says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ServerSettings {
    /// As a number: 150018 is 15.18.
    pub version: i32,
    /// As text.
    pub version_text: String,
    /// fsync, full_page_writes and synchronous_commit, with their values.
    pub durability: Vec<(String, String)>,
    /// Whether standbys are connected.
    pub has_standbys: bool,
    /// How far the database's clock is ahead of this machine's.
    pub clock_skew_ms: i64,
    /// How far `backstitch.clock` is moved; 0 outside of tests.
    pub shift_ms: i64,
    /// How the database keeps texts.
    pub encoding: String,
    /// What the database or the role sets for its sessions of what the engine's sessions rely on, as `database: name=value`.
    pub overrides: Vec<String>,
}
