//! Working as one thing to spawn: a worker and maintenance, through outages of the database.

use std::{future::Future, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{api::Engine, error::Error, maintenance::MaintenanceConfig, store::migrate, worker::WorkerConfig};

/// How long to wait before the next try to start the worker.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Engine {
    /// Works on runs until `shutdown` is done: a worker, and maintenance beside it. This is all that a service has to spawn.
    /// A database that can't be reached, or whose schema is behind, is waited for. On `shutdown` the worker drains.
    ///
    /// A process that only serves runs [`Engine::maintenance`] alone; [`Engine::worker`] is the worker alone.
    ///
    /// # Errors
    /// What the worker can't recover from; `schema_too_new` where a newer release has migrated the schema and does not serve
    /// this one.
    pub async fn work(self, config: WorkerConfig, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let stop = CancellationToken::new();
        let worker = async {
            let worked = self.work_through_outages(config, &stop).await;
            stop.cancel();
            worked
        };
        let maintenance = self.maintenance(MaintenanceConfig::default()).run(stop.cancelled());
        let both = async { tokio::join!(worker, maintenance).0 };
        tokio::pin!(both, shutdown);
        tokio::select! {
            worked = &mut both => return worked,
            () = &mut shutdown => stop.cancel(),
        }
        both.await
    }

    async fn work_through_outages(&self, config: WorkerConfig, stop: &CancellationToken) -> Result<(), Error> {
        let mut reported = None;
        loop {
            let obstacle = match migrate::is_current(self.pool(), self.schema()).await {
                Ok(true) => match self.worker(config.clone()).run(stop.cancelled()).await {
                    Ok(()) => return Ok(()),
                    Err(Error::Unavailable(_)) => "the database can't be reached",
                    Err(error) => return Err(error),
                },
                Ok(false) => "the schema is behind: run the migrations",
                Err(Error::Unavailable(_)) => "the database can't be reached",
                Err(error) => return Err(error),
            };
            if reported.replace(obstacle) != Some(obstacle) {
                tracing::warn!("the worker waits: {obstacle}");
            }
            tokio::select! {
                () = tokio::time::sleep(TRY_AGAIN) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }
}
