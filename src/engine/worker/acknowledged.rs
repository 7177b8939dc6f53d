//! The latest heartbeat of a lane that the database has acknowledged, from flushes and from steps' own transactions. A database
//! that doesn't know of it when the lane connects again has forgotten commits: it was restored, or is a standby that was behind.
//! Then what this process has in memory goes beyond the record, and the lane must not go on.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;

use crate::engine::core::model::Time;

/// In microseconds since 1970, as the database keeps them; 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(AtomicI64);

impl Acknowledged {
    pub(crate) fn note(&self, beat: Time) {
        self.0.fetch_max(beat.timestamp_micros(), Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Option<Time> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::Relaxed)).filter(|at| at.timestamp_micros() > 0)
    }
}
