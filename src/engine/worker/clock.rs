//! The worker's estimate of the database's clock: the last answer plus the time since. It is for scheduling within the
//! worker; durable decisions use the database's own clock.

use std::{
    sync::{PoisonError, RwLock},
    time::Instant,
};

use chrono::SubsecRound;

use crate::engine::core::{model::Time, time::Moment};

#[derive(Debug, Default)]
pub(crate) struct DbClock(RwLock<Option<(Time, Instant)>>);

impl DbClock {
    /// The database has just said what time it is.
    pub(crate) fn set(&self, now: Time) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
    }

    /// The estimate, in whole microseconds as the database keeps them.
    pub(crate) fn now(&self) -> Time {
        let known = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.map_or(Time::UNIX_EPOCH, |(now, at)| now.later(at.elapsed()).trunc_subsecs(6))
    }
}
