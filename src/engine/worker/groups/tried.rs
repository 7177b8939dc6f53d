//! What came of trying a group, and what is told of it.

use super::place::{Place, Stage};
use crate::engine::{
    activity_error::ActivityError,
    core::grouping::Setback,
    store::transaction::Transaction,
    worker::{commit::Verdict, limits::within, shared::Shared},
};

/// Attempts that failed, and how.
pub(super) type FailedOnes = Vec<(Place, ActivityError)>;

/// What came of trying a group.
pub(super) enum Tried {
    Over,
    /// These are to be tried again, without the others.
    Without(Vec<Place>),
    SetBack(Vec<Place>, Setback),
    /// The database is in trouble.
    InTrouble(Vec<Place>, ActivityError),
}

/// What has been decided on rests on a try that came to nothing; the others have their result.
pub(super) fn give_up(places: Vec<Place>, error: &ActivityError) {
    for place in places {
        match place.stage {
            Stage::Waiting(answer) => drop(answer.send((Err(ActivityError { unknown: false, ..error.clone() }), None))),
            Stage::Decided(_, decided) => drop(decided.reply.send(Verdict::Reload)),
        }
    }
}

/// Tells runs that their attempts have failed: they were rolled back, or have left nothing in what was committed.
pub(super) fn tell(failed: FailedOnes) {
    for (place, error) in failed {
        give_up(vec![place], &error);
    }
}

pub(super) fn places_of(failed: FailedOnes) -> impl Iterator<Item = Place> {
    failed.into_iter().map(|(place, _)| place)
}

pub(super) async fn roll_back(shared: &Shared, tx: Transaction) {
    if let Err(error) = within(shared.config.answer_within(), tx.rollback()).await {
        tracing::debug!(%error, "a rollback was not answered; the server rolls back with the connection");
    }
}
