//! Events: those that have been committed get their numbers, and old ones are forgotten.

use std::time::Duration;

use crate::engine::{api::Engine, error::Error};

/// How late an event's number may be on an idle server.
const EVERY: Duration = Duration::from_millis(500);
/// While events come: each turn is a commit, which numbers all that have come meanwhile, and a turn of every relay.
const AGAIN: Duration = Duration::from_millis(150);
/// How often there is a look for old events where none were.
const FORGET_EVERY: Duration = Duration::from_mins(10);
/// Between two turns with some, so that a large backlog leaves the database to others.
const FORGET_AGAIN: Duration = Duration::from_millis(500);

/// Numbers events.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    Ok(match engine.number_events().await? {
        (_, true) => Duration::ZERO,
        (0, false) => EVERY,
        _ => AGAIN,
    })
}

/// Forgets events.
pub(super) async fn forget(engine: &Engine) -> Result<Duration, Error> {
    Ok(if engine.forget_events().await? { FORGET_AGAIN } else { FORGET_EVERY })
}
