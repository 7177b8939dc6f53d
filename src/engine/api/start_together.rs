//! Starts that come at the same time share a statement and a commit.
//!
//! A start may wait for its key, which somebody else takes in a transaction that stays open. So starts that go together wait for
//! a lock only for a moment, and are then started one by one, each in a task of its own.

use std::{sync::Arc, time::Duration};

use crate::engine::{
    api::{
        batcher::Pending,
        engine::Engine,
        start_request::{By, StartRun, Started},
    },
    error::Error,
    store::transaction::begin_impatient,
    trouble::Trouble,
};

/// How long starts that go together wait for a lock.
const LOCK_WITHIN: Duration = Duration::from_millis(100);
/// How long others wait for one that goes alone, before they go on without it.
const ALONE_WITHIN: Duration = Duration::from_millis(100);
/// Starts that go together are answered within this time, or nobody knows.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

type Start = Pending<(StartRun, By), Result<Started, Error>>;

impl Engine {
    /// Starts a run, together with others that are started at this moment.
    pub(super) async fn start_together(&self, request: StartRun, by: By) -> Result<Started, Error> {
        let (engine, starts) = (self.clone(), Arc::clone(self.starts()));
        let write = move |starts: Vec<Start>| {
            let engine = engine.clone();
            async move { engine.write_starts(starts).await }
        };
        let started = starts.submit((request, by), write).await;
        started.unwrap_or_else(|| Err(Error::OutcomeUnknown(sqlx::Error::WorkerCrashed)))
    }

    async fn write_starts(&self, mut starts: Vec<Start>) {
        if starts.len() == 1
            && let Some(alone) = starts.pop()
        {
            let engine = self.clone();
            let started = tokio::spawn(async move { engine.start_alone(alone).await });
            drop(tokio::time::timeout(ALONE_WITHIN, started).await);
            return;
        }
        let requests = starts.iter().map(|start| start.request.clone()).collect();
        let written = tokio::time::timeout(WRITTEN_WITHIN, self.try_starts(requests)).await;
        match written.unwrap_or_else(|_| Err(Error::OutcomeUnknown(sqlx::Error::PoolTimedOut))) {
            Ok(answers) => {
                starts.into_iter().zip(answers).for_each(|(start, answer)| drop(start.answer.send(answer)));
                self.hint();
            }
            // One of them is at fault, or waits: nothing was done for any.
            Err(error) if matches!(error.trouble(), Some(Trouble::Row | Trouble::Statement)) => {
                for start in starts {
                    let engine = self.clone();
                    tokio::spawn(async move { engine.start_alone(start).await });
                }
            }
            Err(error) => starts.into_iter().for_each(|start| drop(start.answer.send(Err(error.again())))),
        }
    }

    async fn try_starts(&self, requests: Vec<(StartRun, By)>) -> Result<Vec<Result<Started, Error>>, Error> {
        let mut tx = begin_impatient(self.pool(), LOCK_WITHIN).await?;
        let started = self.start_many(&mut tx, requests).await?;
        tx.commit().await?;
        Ok(started)
    }

    async fn start_alone(&self, start: Start) {
        let Pending { request: (request, by), answer } = start;
        drop(answer.send(self.start_one(request, by).await));
    }
}
