//! What is held back, as this worker last read it: at its start, about every second, and when a hint says so.
//!
//! Claims read the table itself, so runs of a held queue or workflow are not claimed. This view is for runs that a worker
//! has already: it begins no held step of them, and lets attempts under way end.

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use crate::engine::core::holds::{HeldBack, HoldKind};

#[derive(Debug, Default)]
pub(super) struct HoldsView {
    /// Looked at for every step, so that the good case costs one load.
    any: AtomicBool,
    seen: RwLock<HeldBack>,
    /// A hint said that holds have changed.
    pub(super) changed: Notify,
}

impl HoldsView {
    /// Returns whether an activity has been released since.
    pub(super) fn set(&self, held: HeldBack) -> bool {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if *seen != held {
            tracing::info!(?held, "what is held back has changed");
            self.any.store(!held.is_empty(), Ordering::Release);
            let released = seen.has_released(&held);
            *seen = held;
            return released;
        }
        false
    }

    pub(super) fn holds(&self, kind: HoldKind, name: &str) -> bool {
        self.any.load(Ordering::Acquire) && self.seen.read().unwrap_or_else(PoisonError::into_inner).holds(kind, name)
    }
}
