//! Where runs that are started need not wait for a worker, as was seen a moment ago.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::engine::api::start_request::StartRun;

/// How long it is taken for granted that a worker serves a queue.
const REMEMBERED: Duration = Duration::from_secs(1);
/// Queues that are remembered at most.
const MOST: usize = 1_000;

/// Workflows and queues whose runs had not to wait for a worker a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Served(Mutex<HashMap<(String, String), Instant>>);

impl Served {
    pub(super) fn knows(&self, request: &StartRun) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&Self::of(request)).is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    pub(super) fn note(&self, request: &StartRun) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, at| at.elapsed() < REMEMBERED);
        }
        if seen.len() < MOST {
            seen.insert(Self::of(request), Instant::now());
        }
    }

    fn of(request: &StartRun) -> (String, String) {
        (request.workflow.clone(), request.queue().to_owned())
    }
}
