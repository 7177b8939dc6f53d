//! The run's side: by the lane, or in the step's own transaction.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{
    ack::{Ack, quarantine},
    request::{Answer, LaneHandle, Record, Request, Trial},
    seat::{Decided, Seat, Verdict},
};
use crate::engine::{
    core::{
        decision::Writes,
        model::{RunId, Time},
    },
    error::{Error, is_step_on_record},
    store::{claim, flush::Commit, lanes::Release},
    trouble::Trouble,
    worker::{limits::within, shared::Shared},
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
    /// What goes along in the next commit.
    pub(crate) carried: Option<Writes>,
}

impl Committer {
    /// Has `writes` go along in the next commit, behind those that do already.
    pub(crate) fn carry(&mut self, writes: Writes) {
        self.carried = Some(self.carried.take().unwrap_or_default().followed_by(writes));
    }

    /// Records `writes`, at `seat` where the decision follows a transactional step. None: the commit's fate is unknown or the run
    /// is not ours; its rows say how it goes on.
    pub(crate) async fn commit(&mut self, writes: Writes, seat: Option<Seat>) -> Option<Ack> {
        let commit = match self.carried.clone() {
            Some(first) => Commit { carries: true, ..self.commit_of(first.followed_by(writes)) },
            None => self.commit_of(writes),
        };
        let ack = match seat {
            // Boxed, like everything that most runs never need: a run's task stays small.
            Some(seat) => Box::pin(self.commit_in(seat, commit)).await,
            None => self.commit_by_lane(commit).await,
        };
        if ack != Some(Ack::Refused) {
            self.carried = None;
        }
        ack
    }

    const fn commit_of(&self, writes: Writes) -> Commit {
        let Self { run, claimed_at, parked_before, .. } = *self;
        Commit { run, claimed_at, parked_before, uncertain: false, carries: false, writes }
    }

    /// Records what was to go along in a commit that came to nothing. Where its fate is unknown the rows may be there.
    async fn record_carried(&mut self) {
        if let Some(writes) = self.carried.take() {
            let commit = Commit { uncertain: true, ..self.commit_of(writes) };
            let _ = self.commit_by_lane(commit).await;
        }
    }

    /// Gives the run back. It returns when that is done; without an answer the lane is gone, and takeover frees the run.
    pub(crate) async fn release(&mut self) {
        self.release_because(Release::ForAnother).await;
    }

    /// The same, with a reason.
    pub(crate) async fn release_because(&mut self, why: Release) {
        Box::pin(self.record_carried()).await;
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

    /// The step's own SQL and its record, in one commit.
    async fn commit_in(&mut self, seat: Seat, commit: Commit) -> Option<Ack> {
        let (reply, verdict) = oneshot::channel();
        let decided = Decided { commit, lane: self.lane.clone(), reply };
        // Where the seat is gone the transaction is rolled back.
        let verdict =
            if seat.0.send(decided).is_ok() { verdict.await.unwrap_or(Verdict::Reload) } else { Verdict::Reload };
        match verdict {
            Verdict::Came(ack) => Some(ack),
            Verdict::LeaseLost => None,
            Verdict::Failed { what, error, commit } => self.give_up(*commit, what, error).await,
            Verdict::Reload => {
                self.release().await;
                None
            }
        }
    }

    /// A transactional step whose commit may or may not have landed: the run is reloaded from its rows. Where the database
    /// refuses the commit again (the step's SQL broke the transaction, or a deferred constraint), that would repeat for ever:
    /// then the run is quarantined.
    async fn give_up(&mut self, commit: Commit, what: &str, error: Error) -> Option<Ack> {
        let trouble = error.trouble();
        match error {
            Error::Database(error)
                if trouble == Some(Trouble::Row)
                    && !is_step_on_record(&error)
                    && self.shared.refused.is_second(self.run) =>
            {
                tracing::error!(run_id = %self.run, %error, "{what}: the run is quarantined");
                self.record_carried().await;
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
