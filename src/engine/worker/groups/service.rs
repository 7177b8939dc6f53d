//! Attempts come in, groups begin.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{
    calling::{self, Call},
    place::{Answered, Place, Stage, UnderWay},
    transaction::conduct,
};
use crate::engine::{
    activity::ActivityContext,
    activity_error::ActivityError,
    core::{
        decision::Attempt,
        grouping::{Group, Kind},
        model::RunId,
    },
    registry::ActivityCode,
    worker::shared::Shared,
};

/// A group that takes longer is a slow one.
const QUICK_WITHIN: Duration = Duration::from_millis(50);

/// Makes an attempt that has a transaction or others beside it: with those that are due where its activity does many at once,
/// and else alone.
pub(crate) async fn attempt(
    shared: &Arc<Shared>,
    code: &Arc<dyn ActivityCode>,
    cx: &Arc<ActivityContext>,
    attempt: &Attempt,
) -> Answered {
    let (answer, answered) = oneshot::channel();
    let (run, transactional) = (cx.run, attempt.transactional);
    let place = Place { cx: cx.clone(), attempt: Arc::new(attempt.clone()), stage: Stage::Waiting(answer) };
    if code.does_many(attempt.direction) {
        let Attempt { activity, direction, timeout, .. } = attempt;
        let kind = Kind { activity: activity.clone(), direction: *direction, timeout: *timeout };
        shared.groups.lock(transactional).add(kind, run, place);
        begin_due(shared, transactional);
    } else {
        tokio::spawn(carry_out(shared.clone(), code.clone(), transactional, vec![place], None));
    }
    let gone = || ActivityError::unknown("worker_failed", "the worker's own code failed over this attempt");
    answered.await.unwrap_or_else(|_| (Err(ActivityError { unknown: !transactional, ..gone() }), None))
}

fn begin_due(shared: &Arc<Shared>, transactional: bool) {
    // Within the end of the runtime nothing begins.
    let Ok(runtime) = Handle::try_current() else { return };
    while !shared.stopped.is_cancelled() {
        let Some(Group { number, kind, members }) = shared.groups.lock(transactional).take() else { return };
        let (runs, places): (Vec<RunId>, Vec<Place>) = members.into_iter().unzip();
        let code = shared.engine.registry().code(&kind.activity);
        let its = shared.clone();
        let under_way = UnderWay::until(move || {
            its.groups.lock(transactional).end(number, &runs);
            begin_due(&its, transactional);
        });
        let Some(code) = code else { continue };
        let (its, work) = (shared.clone(), carry_out(shared.clone(), code, transactional, places, Some(under_way)));
        runtime.spawn(async move {
            let mut work = Box::pin(work);
            if timeout(QUICK_WITHIN, &mut work).await.is_err() {
                its.groups.lock(transactional).is_slow(number);
                begin_due(&its, transactional);
                work.await;
            }
        });
    }
}

async fn carry_out(
    shared: Arc<Shared>,
    code: Arc<dyn ActivityCode>,
    transactional: bool,
    mut places: Vec<Place>,
    under_way: Option<UnderWay>,
) {
    // What two groups lock, they lock in one order.
    places.sort_by(|one, other| one.attempt.input.get().cmp(other.attempt.input.get()));
    let work = async {
        if transactional {
            conduct(&shared, &*code, places, under_way).await;
        } else {
            call_outside(&shared, &*code, places).await;
            drop(under_way);
        }
    };
    tokio::select! {
        biased;
        () = shared.stopped.cancelled() => {}
        () = work => {}
    }
}

async fn call_outside(shared: &Shared, code: &dyn ActivityCode, mut places: Vec<Place>) {
    places.retain(|place| !place.is_gone());
    let Some(limit) = places.first().map(|place| place.attempt.timeout) else { return };
    let calls: Vec<Call> =
        places.iter().map(|place| Call { cx: place.cx.detached(), attempt: place.attempt.clone() }).collect();
    let outcomes = tokio::select! {
        biased;
        _ = join_all(places.iter_mut().map(Place::gone)) => return,
        outcomes = async {
            match calls.as_slice() {
                [only] => vec![calling::one(shared, code, only).await],
                calls => calling::outside(code, calls, limit).await,
            }
        } => outcomes,
    };
    for (place, outcome) in places.into_iter().zip(outcomes) {
        if let Stage::Waiting(answer) = place.stage {
            let _ = answer.send((outcome, None));
        }
    }
}
