//! Events from outside that were handled long ago are forgotten.

use std::time::Duration;

use crate::engine::{api::Engine, error::Error};

/// How often there is a look where nothing was to be done.
const EVERY: Duration = Duration::from_mins(10);
/// Between two pieces, so that a large backlog leaves the database to others.
const PAUSE: Duration = Duration::from_millis(100);

/// One bounded piece of work.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    Ok(if engine.forget_old_events().await? > 0 { PAUSE } else { EVERY })
}
