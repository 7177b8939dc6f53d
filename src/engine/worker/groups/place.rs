//! An attempt's place in a group.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use tokio::sync::oneshot;

use crate::engine::{
    activity::ActivityContext,
    activity_error::ActivityError,
    core::{
        decision::Attempt,
        grouping::{Bounds, Grouping},
        model::Json,
    },
    worker::commit::{Decided, Seat},
};

/// What an attempt came to, and the seat in the transaction that it came to that in.
pub(crate) type Answered = (Result<Option<Json>, ActivityError>, Option<Seat>);

pub(crate) struct Place {
    pub(super) cx: Arc<ActivityContext>,
    pub(super) attempt: Arc<Attempt>,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    /// The run waits for the attempt.
    Waiting(oneshot::Sender<Answered>),
    /// The run was given this output, has decided, and waits for the commit.
    Decided(Option<Json>, Box<Decided>),
}

impl Place {
    /// Done when the run waits for it no more.
    pub(super) async fn gone(&mut self) {
        match &mut self.stage {
            Stage::Waiting(answer) => answer.closed().await,
            Stage::Decided(_, decided) => decided.reply.closed().await,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        match &self.stage {
            Stage::Waiting(answer) => answer.is_closed(),
            Stage::Decided(_, decided) => decided.reply.is_closed(),
        }
    }
}

/// A group that is under way. However it ends, by a panic as well, the next may begin.
pub(super) struct UnderWay(Option<Box<dyn FnOnce() + Send>>);

impl UnderWay {
    pub(super) fn until(ended: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(ended)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended();
        }
    }
}

/// The attempts of a worker that wait for a group: transactional ones, and those of activities that call others in batches.
pub(crate) struct Groups {
    own: Mutex<Grouping<Place>>,
    outside: Mutex<Grouping<Place>>,
}

/// Groups of one kind under way: few, so that the next ones fill meanwhile.
const OF_A_KIND: usize = 2;
/// Cores for one transaction of a group under way that has not taken long. On two cores with Postgres, the shop did 300 orders a
/// second with six such transactions, at 7.7 statements and 3.3 commits each; 410 with four, 440 with three, 505 with two. In turn
/// on another day, 440 and 490 with two, at 4.7 and 2.3; and 545 and 585 with one, at 3.7 and 2.0.
const CORES_FOR_ONE: usize = 2;
/// Batches at other systems under way, in all.
const OUTSIDE: usize = 16;

impl Groups {
    /// `connections`: as many transactions at the same time.
    pub(crate) fn new(connections: usize) -> Self {
        let quick = available_parallelism().map_or(1, usize::from) / CORES_FOR_ONE;
        let own = Bounds { in_all: connections, quick, of_a_kind: OF_A_KIND };
        let outside = Bounds { in_all: OUTSIDE, quick: OUTSIDE, of_a_kind: OF_A_KIND };
        Self { own: Mutex::new(Grouping::new(own)), outside: Mutex::new(Grouping::new(outside)) }
    }

    pub(super) fn lock(&self, transactional: bool) -> MutexGuard<'_, Grouping<Place>> {
        let which = if transactional { &self.own } else { &self.outside };
        which.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
