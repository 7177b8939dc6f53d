//! The end of a group's transaction: all that its runs have decided, and the commit.

use std::{ops::Range, time::Instant};

use tokio::sync::oneshot;

use super::{
    place::{Place, Stage},
    tried::{FailedOnes, Tried, places_of, roll_back, tell},
};
use crate::engine::{
    activity::ActivityContext,
    core::{decision::Attempt, grouping::Setback, model::Json},
    error::Error,
    store::{
        flush::{self, Commit, Flushed},
        transaction::Transaction,
    },
    trouble::Trouble,
    worker::{
        commit::{Ack, Decided, LaneHandle, Verdict},
        faults::Moment,
        limits::{is_silence, within},
        shared::Shared,
    },
};

/// A place whose record is on its way.
struct Seated {
    cx: std::sync::Arc<ActivityContext>,
    attempt: std::sync::Arc<Attempt>,
    output: Option<Json>,
    lane: LaneHandle,
    reply: oneshot::Sender<Verdict>,
}

/// Records and commits. Each answer has a deadline: the lanes live on over other connections, so nobody would take over runs
/// that wait for this one.
pub(super) async fn record(shared: &Shared, mut tx: Transaction, places: Vec<Place>, failed: FailedOnes) -> Tried {
    let began = Instant::now();
    let (mut seated, commits) = take_seats(places);
    let beginning = flush::begin_in_step(shared.schema(), &mut tx, &commits);
    if let Err(error) = within(shared.config.answer_within(), beginning).await {
        roll_back_unless_silent(shared, tx, &error).await;
        return set_back(seated, commits, failed, "its record failed", error);
    }
    let mut flushed: Vec<(Range<usize>, Flushed)> = Vec::new();
    for part in parts(&seated) {
        let Some(lane) = seated.get(part.start).map(|first| first.lane.lease) else { continue };
        let these = commits.get(part.clone()).unwrap_or_default();
        let flushing = flush::flush_in_step(shared.schema(), &mut tx, lane, these);
        match within(shared.config.answer_within(), flushing).await {
            Ok(done) => flushed.push((part, done)),
            Err(error) => {
                roll_back_unless_silent(shared, tx, &error).await;
                return refused(seated, commits, failed, part, error);
            }
        }
    }
    let mut acks: Vec<Ack> = Vec::with_capacity(seated.len());
    for (part, done) in &flushed {
        acks.extend(commits.get(part.clone()).unwrap_or_default().iter().map(|commit| Ack::of_step(commit, done)));
    }
    if acks.iter().any(|ack| matches!(ack, Ack::Lost | Ack::Refused)) {
        roll_back(shared, tx).await;
        return without_lost(seated, commits, acks, failed);
    }
    if let Some(faults) = &shared.config.faults {
        for seat in &seated {
            faults.commit(seat.cx.run_id(), Moment::Within).await;
        }
    }
    if let Err(error) = within(shared.config.answer_within(), tx.commit()).await {
        return not_committed(seated, commits, failed, error);
    }
    for (part, done) in flushed {
        let these = commits.get(part.clone()).unwrap_or_default();
        shared.engine.meters().flushed(these, &done, began.elapsed());
        if let (Some(seat), Some(first)) = (seated.get(part.start), these.first()) {
            seat.lane.acknowledged.note_steps(first.run, &first.writes.steps);
        }
    }
    for (seat, ack) in seated.drain(..).zip(acks) {
        shared.refused.forget(seat.cx.run_id());
        let _ = seat.reply.send(Verdict::Came(ack));
    }
    tell(failed);
    Tried::Over
}

/// Its locks go first: giving runs up waits for them. A silent connection is dropped, and closed.
async fn roll_back_unless_silent(shared: &Shared, tx: Transaction, error: &Error) {
    if !is_silence(error) {
        roll_back(shared, tx).await;
    }
}

/// Sorted by lane: a flush is one lane's.
fn take_seats(places: Vec<Place>) -> (Vec<Seated>, Vec<Commit>) {
    let mut both: Vec<(Seated, Commit)> = Vec::with_capacity(places.len());
    for Place { cx, attempt, stage } in places {
        if let Stage::Decided(output, decided) = stage {
            let Decided { commit, lane, reply } = *decided;
            both.push((Seated { cx, attempt, output, lane, reply }, commit));
        }
    }
    both.sort_by_key(|(seat, commit)| (seat.lane.lease.lane, commit.run));
    both.into_iter().unzip()
}

fn seat_again((seat, commit): (Seated, Commit)) -> Place {
    let decided = Decided { commit, lane: seat.lane, reply: seat.reply };
    Place { cx: seat.cx, attempt: seat.attempt, stage: Stage::Decided(seat.output, Box::new(decided)) }
}

fn parts(seated: &[Seated]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, seat) in seated.iter().enumerate() {
        let after = at.saturating_add(1);
        let same =
            |part: &Range<usize>| seated.get(part.start).is_some_and(|first| first.lane.lease == seat.lane.lease);
        match parts.last_mut().filter(|part| same(part)) {
            Some(part) => part.end = after,
            None => parts.push(at..after),
        }
    }
    parts
}

/// The flush of one lane's part was refused.
fn refused(seated: Vec<Seated>, commits: Vec<Commit>, failed: FailedOnes, part: Range<usize>, error: Error) -> Tried {
    if matches!(error, Error::LeaseLost) {
        let mut rest = Vec::new();
        for (at, both) in seated.into_iter().zip(commits).enumerate() {
            if part.contains(&at) {
                let _ = both.0.reply.send(Verdict::LeaseLost);
            } else {
                rest.push(seat_again(both));
            }
        }
        return Tried::Without(rest.into_iter().chain(places_of(failed)).collect());
    }
    set_back(seated, commits, failed, "its record failed", error)
}

fn set_back(
    mut seated: Vec<Seated>,
    mut commits: Vec<Commit>,
    failed: FailedOnes,
    what: &'static str,
    error: Error,
) -> Tried {
    if seated.len() == 1
        && let (Some(seat), Some(commit)) = (seated.pop(), commits.pop())
    {
        let _ = seat.reply.send(Verdict::Failed { what, error, commit: Box::new(commit) });
        return Tried::Without(places_of(failed).collect());
    }
    tracing::warn!(%error, runs = seated.len(), "{what}: a group of steps is rolled back and tried again");
    let setback = if error.trouble() == Some(Trouble::Row) { Setback::Refused } else { Setback::Passes };
    Tried::SetBack(seated.into_iter().zip(commits).map(seat_again).chain(places_of(failed)).collect(), setback)
}

/// Runs that are another's, or must not go on: the others begin again without them.
fn without_lost(seated: Vec<Seated>, commits: Vec<Commit>, acks: Vec<Ack>, failed: FailedOnes) -> Tried {
    let mut rest = Vec::new();
    for (both, ack) in seated.into_iter().zip(commits).zip(acks) {
        if matches!(ack, Ack::Lost | Ack::Refused) {
            let _ = both.0.reply.send(Verdict::Came(ack));
        } else {
            rest.push(seat_again(both));
        }
    }
    Tried::Without(rest.into_iter().chain(places_of(failed)).collect())
}

/// What the server has refused was rolled back. Anything else may have landed: the rows say so.
fn not_committed(seated: Vec<Seated>, commits: Vec<Commit>, failed: FailedOnes, error: Error) -> Tried {
    if seated.len() == 1 || matches!(error, Error::Database(_)) {
        return set_back(seated, commits, failed, "its commit failed", error);
    }
    tracing::warn!(%error, runs = seated.len(), "the commit of a group of steps was not answered; they are reloaded");
    for seat in seated {
        let _ = seat.reply.send(Verdict::Reload);
    }
    Tried::Without(places_of(failed).collect())
}
