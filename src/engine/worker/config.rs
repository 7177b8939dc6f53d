//! How a worker works: its settings and their defaults.

use std::{sync::Arc, time::Duration};

use super::faults::Faults;
use crate::engine::{names::DEFAULT_QUEUE, observer::Observer};

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its name, which operators see: best its host and process id. `worker-` and a random number unless set.
    pub name: String,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// Runs that it works on at the same time. Up to four times as many may beside that be in memory, waiting for a moment.
    pub slots: usize,
    /// Flushing connections. Two are a little better than one or four on small machines; see docs/benchmarks.md.
    pub lanes: usize,
    /// A lane that has sent no heartbeat for this long is taken over.
    pub takeover_after: Duration,
    /// How long an idle worker waits before it polls again, unless a hint wakes it.
    pub poll_interval: Duration,
    /// How long a drain waits for attempts that are under way.
    pub drain: Duration,
    /// Gets every attempt that has ended; none by default.
    pub observer: Option<Arc<dyn Observer>>,
    /// For [`crate::engine::testing`] only: called around commits. None in a service.
    pub faults: Option<Arc<dyn Faults>>,
}

/// No heartbeat comes more often: a shorter silence would be that of every worker.
pub(super) const SHORTEST_TAKEOVER: Duration = Duration::from_millis(100);

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            name: format!("worker-{:08x}", rand::random::<u32>()),
            queues: vec![DEFAULT_QUEUE.to_owned()],
            slots: 500,
            lanes: 2,
            takeover_after: Duration::from_secs(15),
            poll_interval: Duration::from_millis(500),
            drain: Duration::from_secs(30),
            observer: None,
            faults: None,
        }
    }
}
