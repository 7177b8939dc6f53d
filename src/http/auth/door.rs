//! What the guard is set to: the address that the server listens on, and whether it does without keys.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

/// How often the caller of an open stream is checked again. Not more often: many dashboards are open at a time, and each has
/// a session that would be looked up.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Who may come in while there is no key at all, and what the guard remembers.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address that it listens on.
    pub(super) bound: Option<IpAddr>,
    /// Whether it does without keys, wherever it listens.
    pub(super) no_auth: bool,
    /// The token that forms send back while there are no keys.
    pub(super) csrf: Arc<str>,
    /// How many sign-ins failed in a row.
    pub(super) failed: Arc<AtomicU32>,
    /// How often the callers of open event streams are checked again.
    pub(super) look_again: Duration,
}

impl Default for Door {
    /// Closed: open only on an address that is known to be this machine's own.
    fn default() -> Self {
        let csrf = hex::encode(rand::random::<[u8; 32]>()).into();
        Self { bound: None, no_auth: false, csrf, failed: Arc::default(), look_again: LOOK_AGAIN }
    }
}

impl Door {
    /// For a server that listens on this address.
    pub(in crate::http) fn at(mut self, address: IpAddr) -> Self {
        self.bound = Some(address);
        self
    }

    /// Lets everybody in while there are no keys, wherever the server listens.
    pub(in crate::http) fn without_keys(mut self, no_auth: bool) -> Self {
        self.no_auth = no_auth;
        self
    }

    /// Checks the callers of open event streams so often: for tests.
    pub fn looking_again_every(mut self, span: Duration) -> Self {
        self.look_again = span;
        self
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.bound.is_some_and(|ip| ip.is_loopback())
    }
}
