//! Statistics: what the planner knows is brought up to date where a table is no longer empty.

use std::time::Duration;

use crate::engine::{api::Engine, error::Error};

const EVERY: Duration = Duration::from_secs(5);

/// One bounded piece of work.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    engine.renew_statistics().await?;
    Ok(EVERY)
}
