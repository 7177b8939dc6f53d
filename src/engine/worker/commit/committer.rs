//! The run's side: by the lane, or in the step's own transaction.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    ack::{Ack, quarantine},
    request::{Answer, LaneHandle, Record, Request, Trial},
};
use crate::engine::{
    core::{
        decision::Writes,
        model::{RunId, Time},
    },
    error::{Error, is_step_on_record},
    store::{
        claim,
        flush::{self, Commit},
        lanes::Release,
    },
    trouble::Trouble,
    worker::{
        limits::{is_silence, within},
        shared::Shared,
        transaction::OpenTransaction,
    },
};

/// How long a run waits before it asks again, while the database is in trouble.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Records what one run has decided.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lane: LaneHandle,
    pub(crate) run: RunId,
    /// When the run was claimed for the first time.
    pub(crate) claimed_at: Time,
    /// It may have a row in `timer`.
    pub(crate) parked_before: bool,
}

impl Committer {
    /// Records `writes`, in `tx` where the decision follows a transactional step. None: the commit's fate is unknown or the run
    /// is not ours; its rows say how it goes on.
    pub(crate) async fn commit(&self, writes: Writes, tx: Option<OpenTransaction>) -> Option<Ack> {
        let Self { run, claimed_at, parked_before, .. } = *self;
        let commit = Commit { run, claimed_at, parked_before, uncertain: false, writes };
        match tx {
            // Boxed, like everything that most runs never need: a run's task stays small.
            Some(tx) => Box::pin(self.commit_in(tx, commit)).await,
            None => self.commit_by_lane(commit).await,
        }
    }

    /// Gives the run back. It returns when that is done; without an answer the lane is gone, and takeover frees the run.
    pub(crate) async fn release(&self) {
        self.release_because(Release::ForAnother).await;
    }

    /// The same, with a reason.
    pub(crate) async fn release_because(&self, why: Release) {
        let (done, answered) = oneshot::channel();
        if self.lane.requests.send(Request::Release(self.run, why, done)).await.is_ok() {
            let _ = answered.await;
        }
    }

    async fn commit_by_lane(&self, commit: Commit) -> Option<Ack> {
        let mut record = Box::new(Record { commit, trial: Trial::default() });
        loop {
            let (ack, answered) = oneshot::channel();
            self.lane.requests.send(Request::Commit(record, ack)).await.ok()?;
            match answered.await.ok()? {
                Answer::Came(ack) => return Some(ack),
                Answer::Later(back) => record = back,
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The step's own SQL and its record, in one commit. Each answer has a deadline: the lane lives on over another connection,
    /// so nobody would take over a run that waits for this one.
    async fn commit_in(&self, mut open: OpenTransaction, commit: Commit) -> Option<Ack> {
        let (began, limit) = (tokio::time::Instant::now(), self.shared.config.answer_within());
        let flushing = async {
            let schema = self.shared.schema();
            flush::flush_in_step(schema, &mut open.tx, self.lane.lease, std::slice::from_ref(&commit)).await
        };
        let flushed = match within(limit, flushing).await {
            Ok(flushed) => flushed,
            Err(Error::LeaseLost) => return None,
            Err(error) => {
                if !is_silence(&error) {
                    // Its locks go first: giving the run up waits for them.
                    let _ = within(limit, open.tx.rollback()).await;
                }
                return self.give_up(commit, "its record failed", error).await;
            }
        };
        let ack = Ack::of(&commit, &flushed);
        if matches!(ack, Ack::Lost | Ack::Refused) {
            let _ = within(limit, open.tx.rollback()).await;
            return Some(ack);
        }
        match within(limit, open.tx.commit()).await {
            Ok(()) => {
                self.lane.acknowledged.note_steps(commit.run, &commit.writes.steps);
                self.shared.refused.forget(self.run);
                self.shared.engine.meters().flushed(std::slice::from_ref(&commit), &flushed, began.elapsed());
                self.shared.engine.hints().wake_waiters(flushed.dequeued);
                Some(ack)
            }
            Err(error) => self.give_up(commit, "its commit failed", error).await,
        }
    }

    /// A transactional step whose commit may or may not have landed: the run is reloaded from its rows. Where the database
    /// refuses the commit again (the step's SQL broke the transaction, or a deferred constraint), that would repeat for ever:
    /// then the run is quarantined.
    async fn give_up(&self, commit: Commit, what: &str, error: Error) -> Option<Ack> {
        let trouble = error.trouble();
        match error {
            Error::Database(error)
                if trouble == Some(Trouble::Row)
                    && !is_step_on_record(&error)
                    && self.shared.refused.is_second(self.run) =>
            {
                tracing::error!(run_id = %self.run, %error, "{what}: the run is quarantined");
                let inbox = async {
                    claim::load_inbox(self.shared.schema(), &mut *self.shared.engine.acquire().await?, self.run).await
                };
                let inbox = within(self.shared.config.answer_within(), inbox).await;
                let writes = quarantine(&error, inbox.map_or(0, |inbox| inbox.inbox));
                if self.commit_by_lane(Commit { writes, ..commit }).await != Some(Ack::Done) {
                    self.release().await;
                }
            }
            error => {
                tracing::warn!(run_id = %self.run, %error, "{what}: the run is reloaded from its rows");
                if trouble != Some(Trouble::Row) {
                    tokio::time::sleep(ASK_AGAIN / 5).await;
                }
                self.release().await;
            }
        }
        None
    }
}
