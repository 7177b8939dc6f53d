//! Rate limits: buckets that are full again are forgotten.

use std::time::Duration;

use crate::engine::{api::Engine, error::Error};

const EVERY: Duration = Duration::from_mins(1);

/// One bounded piece of work.
pub(super) async fn tick(engine: &Engine) -> Result<Duration, Error> {
    engine.forget_full_buckets().await?;
    Ok(EVERY)
}
