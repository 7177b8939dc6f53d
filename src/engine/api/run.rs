//! One run: how it stands, and its result.

use std::time::{Duration, Instant};

use crate::engine::{
    api::engine::Engine,
    core::model::RunId,
    error::Error,
    read_models::{Run, RunResult},
    store::{reads, search},
};

impl Engine {
    /// One run with its steps, and why it needs attention.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn run(&self, run: RunId) -> Result<Run, Error> {
        let mut conn = self.pool().acquire().await?;
        let mut found = reads::run(self.schema(), &mut conn, run).await?;
        found.steps = Some(reads::steps(self.schema(), &mut conn, run).await?);
        found.attention = Some(search::attention::of_run(self.schema(), &mut conn, run).await?);
        found.children = Some(reads::children(self.schema(), &mut conn, run).await?);
        Ok(found)
    }

    /// How the run stands; waits up to `wait` for its end.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn result(&self, run: RunId, wait: Duration) -> Result<RunResult, Error> {
        let began = Instant::now();
        let watch = self.hints().watch(run);
        let mut pause = Duration::from_millis(25);
        loop {
            let ended = watch.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            // Watching began before this look, so that an end in between is not missed.
            let looked = reads::ended(self.schema(), &mut *self.pool().acquire().await?, run).await?;
            let left = wait.saturating_sub(began.elapsed());
            match looked {
                Some(ended) => return Ok(ended),
                None if left.is_zero() => {
                    return reads::result(self.schema(), &mut *self.pool().acquire().await?, run).await;
                }
                None => {}
            }
            // The end may come in another process: then only polling finds it.
            let _ = tokio::time::timeout(pause.min(left), ended).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}
