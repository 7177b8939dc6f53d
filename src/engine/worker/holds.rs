//! What is held back, as this worker last saw it: at its start, about every second, and when it is told of a change.
//!
//! Claims ask the table itself, so a held queue or workflow is claimed by nobody. This view is for runs that are in a
//! worker's hands already: it begins nothing more of them that is held, and lets what is under way end.

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
    /// Somebody told of a change.
    pub(super) changed: Notify,
}

impl HoldsView {
    /// Gives whether an activity is held no more that was held before.
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
