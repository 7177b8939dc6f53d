//! Overload: only so many starts wait for the database at a time. Beyond that a start is refused at once, before it has a
//! connection or any row: nothing of it remains, and what waits takes bounded memory and a bounded time.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderValue, header::RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Starts that wait for the database at a time, unless another limit is set: what it takes in about a second.
pub(super) const MOST_WAITING: usize = 1_000;

/// Runs of a batch that wait in the place of one single start: they share its round trips and its commit.
const RUNS_IN_A_PLACE: usize = 20;

/// When a refused client should ask again: those before it have had their turn by then.
const RETRY_AFTER_OVERLOAD: Duration = Duration::from_secs(1);

/// The places of starts that wait for the database. Cheap to clone; all routes that start runs share one.
#[derive(Clone, Debug)]
pub struct WaitingStarts {
    places: Arc<Semaphore>,
    most: usize,
}

/// A start's place, until this is dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl WaitingStarts {
    /// So many places, at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most }
    }

    /// Takes the place of one start. Keep it until the database has answered, and no longer.
    ///
    /// # Errors
    /// `overloaded` 429, with `retry-after`, where as many wait as may.
    pub fn enter(&self) -> Result<Place, Problem> {
        self.enter_batch(1)
    }

    /// The same for a batch of so many runs. One that is larger than all places takes them all.
    pub(super) fn enter_batch(&self, runs: usize) -> Result<Place, Problem> {
        let places = runs.div_ceil(RUNS_IN_A_PLACE).clamp(1, self.most);
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        Arc::clone(&self.places).try_acquire_many_owned(places).map(|_permit| Place { _permit }).map_err(|_| refuse())
    }
}

fn refuse() -> Problem {
    let detail = "more starts wait than the database takes just now; nothing has happened";
    let after = HeaderValue::from(RETRY_AFTER_OVERLOAD.as_secs());
    Problem::new("overloaded", detail).with_headers([(RETRY_AFTER, after)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_starts_wait_than_there_are_places() {
        let starts = WaitingStarts::new(3);
        let waiting: Vec<_> = (0..5).map(|_| starts.enter()).collect();
        let taken: Vec<bool> = waiting.iter().map(Result::is_ok).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        let refused = waiting.into_iter().find_map(Result::err).expect("a refusal");
        assert_eq!((refused.code(), refused.status().as_u16()), ("overloaded", 429));
        assert_eq!(starts.places.available_permits(), 3, "all places are given back");
    }

    #[test]
    fn a_batch_takes_places_by_its_size() {
        let starts = WaitingStarts::new(4);
        let left = |runs: usize| {
            let place = starts.enter_batch(runs);
            (place.is_ok(), starts.places.available_permits())
        };
        let all = [0, 1, RUNS_IN_A_PLACE, RUNS_IN_A_PLACE + 1, 1_000].map(left);
        assert_eq!(all, [(true, 3), (true, 3), (true, 3), (true, 2), (true, 0)]);
    }
}
