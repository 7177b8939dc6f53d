//! A group of transactional attempts: called, decided by its runs, recorded and committed together.
//!
//! Errors of single attempts are told to their runs only after the commit: they may rest on what others of the group have
//! done, which is not so before.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::{
    sync::{Mutex as AsyncMutex, oneshot},
    time::timeout,
};

use super::{
    calling::{self, Call, Called},
    place::{Place, Stage, UnderWay},
    recording::record,
    tried::{FailedOnes, Tried, give_up, places_of, roll_back, tell},
};
use crate::engine::{
    activity_error::{ActivityError, DATABASE_IN_TROUBLE},
    core::{
        grouping::{Next, Setback, after_setback},
        model::Json,
    },
    registry::ActivityCode,
    store::transaction::{Transaction, begin_bounded},
    worker::{commit::Seat, shared::Shared},
};

/// How often a group is begun again while the database is in trouble, about a quarter of an hour in all, and the first of the
/// growing pauses.
const TRIES_IN_TROUBLE: u32 = 450;
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// A group of several has less time: if one of them waits for somebody's lock, all do. Then each is tried by itself.
const TOGETHER: Duration = Duration::from_secs(2);
/// Runs of a group of several have so long to decide, of which the transaction stands still.
const DECIDE_WITHIN: Duration = Duration::from_secs(1);

/// Carries a group out. `under_way` is let go of before its end where others should not wait for it.
pub(super) async fn conduct(
    shared: &Shared,
    code: &dyn ActivityCode,
    places: Vec<Place>,
    mut under_way: Option<UnderWay>,
) {
    let mut pending = vec![(places, 0_u32)];
    let mut troubles = 0_u32;
    while let Some((mut places, tries)) = pending.pop() {
        places.retain(|place| !place.is_gone());
        if places.is_empty() {
            continue;
        }
        let (mut places, setback) = match try_once(shared, code, places).await {
            Tried::Over => continue,
            Tried::Without(rest) => {
                pending.push((rest, tries));
                continue;
            }
            Tried::InTrouble(places, error) => {
                // It may be the trouble of this activity only.
                under_way = None;
                troubles = troubles.saturating_add(1);
                if troubles > TRIES_IN_TROUBLE || places.iter().all(|place| place.cx.is_cancelled()) {
                    give_up(places, &error);
                    continue;
                }
                tracing::warn!(%error, troubles, "the database is in trouble: transactional steps are begun again");
                let cancelled = join_all(places.iter().map(|place| place.cx.cancelled()));
                let _ = timeout(TRY_AGAIN * troubles.min(20), cancelled).await;
                if places.len() == 1 {
                    pending.push((places, tries));
                    continue;
                }
                (places, Setback::Passes)
            }
            Tried::SetBack(places, _) if places.len() == 1 => {
                give_up(places, &ActivityError::failed("database", "its transaction came to nothing"));
                continue;
            }
            Tried::SetBack(places, setback) => (places, setback),
        };
        match after_setback(places.len(), tries, setback) {
            Next::Again => pending.push((places, tries.saturating_add(1))),
            Next::Halves => {
                let second = places.split_off(places.len() / 2);
                pending.extend([(second, tries), (places, tries)]);
            }
            Next::Singles => {
                under_way = None;
                join_all(places.into_iter().map(|place| single(shared, code, place))).await;
            }
        }
    }
    drop(under_way);
}

fn single<'a>(shared: &'a Shared, code: &'a dyn ActivityCode, place: Place) -> BoxFuture<'a, ()> {
    conduct(shared, code, vec![place], None).boxed()
}

async fn try_once(shared: &Shared, code: &dyn ActivityCode, mut places: Vec<Place>) -> Tried {
    let alone = places.len() == 1;
    let Some(limit) = places.first().map(|place| place.attempt.timeout) else { return Tried::Over };
    let limit = if alone { limit } else { limit.min(TOGETHER) };
    // The wait is here and not at the pool, whose acquire time-out means that the database is down. None: the semaphore is
    // never closed.
    let _permit = shared.transactions.acquire().await.ok();
    let tx = match begin_bounded(shared.engine.pool(), limit).await {
        Ok(tx) => Arc::new(AsyncMutex::new(tx)),
        // Nothing was begun.
        Err(error) => return troubled(places, error.into()),
    };
    let calls: Vec<Call> =
        places.iter().map(|place| Call { cx: place.cx.in_transaction(&tx), attempt: place.attempt.clone() }).collect();
    let called = tokio::select! {
        biased;
        _ = join_all(places.iter_mut().map(Place::gone)) => return Tried::Over,
        called = calling::in_transaction(shared, code, &calls, limit) => called,
    };
    drop(calls);
    match (called, Arc::try_unwrap(tx)) {
        (Called::Each(outcomes), Ok(tx)) => {
            let mut ok = Vec::with_capacity(places.len());
            let mut failed = Vec::new();
            for (place, outcome) in places.into_iter().zip(outcomes) {
                match outcome {
                    Ok(output) => ok.push((place, output)),
                    Err(error) => failed.push((place, error)),
                }
            }
            let tx = tx.into_inner();
            let in_trouble = failed.iter().find(|(_, error)| error.code == DATABASE_IN_TROUBLE);
            if let Some(error) = in_trouble.map(|(_, error)| error.clone()) {
                roll_back(shared, tx).await;
                return troubled(ok.into_iter().map(|(place, _)| place).chain(places_of(failed)).collect(), error);
            }
            hand_out(shared, tx, ok, failed).await
        }
        (called, tx) => {
            if let Ok(tx) = tx {
                roll_back(shared, tx.into_inner()).await;
            }
            match called {
                Called::Each(outcomes) if alone => {
                    // The activity kept a handle to the transaction: its commit can't be promised.
                    let leaked = "the activity kept its transaction beyond its end";
                    let leaked = ActivityError::failed("transaction_leaked", leaked).fatal();
                    let error = outcomes.into_iter().find_map(Result::err).unwrap_or(leaked);
                    give_up(places, &error);
                    Tried::Over
                }
                Called::SetBack(setback) => Tried::SetBack(places, setback),
                Called::Each(_) => Tried::SetBack(places, Setback::Unclear),
            }
        }
    }
}

/// Trouble of the database, or what it refuses for good.
fn troubled(places: Vec<Place>, error: ActivityError) -> Tried {
    if error.code == DATABASE_IN_TROUBLE {
        return Tried::InTrouble(places, error);
    }
    give_up(places, &error);
    Tried::Over
}

/// Gives the runs their outputs, waits for what they decide, and has that recorded. One that has decided before keeps to it if
/// its output is the same.
async fn hand_out(shared: &Shared, tx: Transaction, ok: Vec<(Place, Option<Json>)>, failed: FailedOnes) -> Tried {
    let text = |json: &Option<Json>| json.as_ref().map(|json| json.get().to_owned());
    let (all, mut decided, mut waits) = (ok.len(), Vec::with_capacity(ok.len()), Vec::new());
    let mut kept_failed = Vec::with_capacity(failed.len());
    let mut changed = false;
    for (place, error) in failed {
        if matches!(place.stage, Stage::Decided(..)) {
            changed = true;
            give_up(vec![place], &error);
        } else {
            kept_failed.push((place, error));
        }
    }
    let mut undecided = Vec::new();
    for (place, output) in ok {
        match &place.stage {
            Stage::Waiting(_) => undecided.push((place, output)),
            Stage::Decided(before, _) if text(before) == text(&output) => decided.push(place),
            Stage::Decided(..) => {
                changed = true;
                give_up(vec![place], &ActivityError::failed("changed", "it came to something else"));
            }
        }
    }
    if changed {
        roll_back(shared, tx).await;
        let rest = decided.into_iter().chain(undecided.into_iter().map(|(place, _)| place));
        return Tried::Without(rest.chain(places_of(kept_failed)).collect());
    }
    if all == 0 {
        roll_back(shared, tx).await;
        tell(kept_failed);
        return Tried::Over;
    }
    for (place, output) in undecided {
        let Stage::Waiting(answer) = place.stage else { continue };
        let (seat, taken) = oneshot::channel();
        // Where the run is gone, so is its seat, and that is found below.
        let _ = answer.send((Ok(output.clone()), Some(Seat(seat))));
        waits.push(async move {
            let decided = if all == 1 { taken.await.ok() } else { timeout(DECIDE_WITHIN, taken).await.ok()?.ok() };
            Some(Place { cx: place.cx, attempt: place.attempt, stage: Stage::Decided(output, Box::new(decided?)) })
        });
    }
    decided.extend(join_all(waits).await.into_iter().flatten());
    if decided.len() < all {
        roll_back(shared, tx).await;
        return Tried::Without(decided.into_iter().chain(places_of(kept_failed)).collect());
    }
    record(shared, tx, decided, kept_failed).await
}
