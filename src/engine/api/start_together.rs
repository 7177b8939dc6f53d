//! Starts that come at the same time share a statement and a commit.

use crate::engine::{
    api::{
        batcher::Batched,
        engine::Engine,
        start_request::{By, StartRun, Started},
    },
    error::Error,
};

/// Starts, as a [`Batcher`](super::batcher::Batcher) gathers them.
#[derive(Clone, Debug)]
struct Starting(Engine);

impl Batched for Starting {
    type Request = (StartRun, By);
    type Answer = Result<Started, Error>;

    async fn together(&self, requests: Vec<(StartRun, By)>) -> Vec<Option<Result<Started, Error>>> {
        let count = requests.len();
        match self.0.try_starts(requests).await {
            Ok(started) => started.into_iter().map(Some).collect(),
            Err(error) => error.shared_by(count),
        }
    }

    async fn alone(&self, (request, by): (StartRun, By)) -> Result<Started, Error> {
        self.0.start_one(request, by).await
    }
}

impl Engine {
    /// Starts a run, together with others that are started at this moment.
    pub(super) async fn start_together(&self, request: StartRun, by: By) -> Result<Started, Error> {
        let started = self.starts().submit(&Starting(self.clone()), (request, by)).await;
        started.unwrap_or_else(|| Err(Error::OutcomeUnknown(sqlx::Error::WorkerCrashed)))
    }

    async fn try_starts(&self, requests: Vec<(StartRun, By)>) -> Result<Vec<Result<Started, Error>>, Error> {
        let mut tx = self.begin_impatient().await?;
        let started = self.start_many(&mut tx, requests).await?;
        tx.commit().await?;
        self.hint();
        Ok(started)
    }
}
