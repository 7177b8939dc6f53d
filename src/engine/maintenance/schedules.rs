//! Schedules: each turn sees to one that has a slot due. Any number of servers may; a slot starts at most one run.

use std::time::Duration;

use crate::engine::{api::Engine, error::Error};

/// How late a slot may be on an idle server.
const EVERY: Duration = Duration::from_secs(1);

/// Decides the slots of one schedule, if there is one with any.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    Ok(if engine.decide_schedules().await? { Duration::ZERO } else { EVERY })
}
