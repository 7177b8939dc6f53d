//! What metrics and readiness ask of the database.

use std::time::Duration;

use crate::engine::{api::engine::Engine, error::Error, read_models::Gauges, store::gauges};

impl Engine {
    /// How many runs stand where. Reads small tables only; the database gives up after `at_most`.
    ///
    /// # Errors
    /// When the database can't be reached, or does not answer in time.
    pub async fn gauges(&self, at_most: Duration) -> Result<Gauges, Error> {
        gauges::load(self.schema(), &mut *self.begin().await?, at_most).await
    }

    /// How long ago the newest worker of that name sent its last heartbeat. None: it has no lane.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn worker_silent_for(&self, name: &str) -> Result<Option<Duration>, Error> {
        let seconds = gauges::silent_for(self.schema(), &mut *self.acquire().await?, name).await?;
        Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
    }
}
