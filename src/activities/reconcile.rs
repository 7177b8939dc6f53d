//! `compare_books`: compares the books with the gateway's, and records what differs.
//!
//! It reads, and writes rows that say the same however often they are written, so an attempt that follows a broken one begins
//! again. Its progress is a row of its own, for people, and a heartbeat.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::watch;

use super::{from_gateway, refused};
use crate::{
    engine::{Activity, ActivityContext, ActivityError, Policy, Retry, begin},
    orders::{
        Error,
        reconcile::{Compared, Looked, Progress, Runs, Scope, Sides, Unreadable, Verdict, compare},
        runs::ReconcileInput,
        state::Word,
        store::differences,
    },
    payments::PaymentGateway,
};

/// How often the progress is written.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Open differences that are looked at again whatever their age.
const MOST_KNOWN: i64 = 1_000;

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Reconciled {
    /// Payments of the gateway's list.
    pub payments: i64,
    /// Orders with a payment.
    pub orders: i64,
    /// Refunds of the gateway's list.
    pub refunds: i64,
    /// Payments and orders that are still moving.
    pub under_way: i64,
    /// Answers that leave out what has to be known.
    pub unknown: i64,
    /// Differences that are open.
    pub differences: i64,
}

/// Compares the books with the gateway's.
pub struct CompareBooks {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for CompareBooks {
    const NAME: &'static str = "compare_books";
    type Input = ReconcileInput;
    type Output = Reconciled;

    /// As long as the lists are. A gateway that is down for some minutes delays the comparison.
    fn policy() -> Policy {
        let retry = Retry { max_attempts: 12, longest: Duration::from_secs(60), ..Retry::default() };
        Policy { attempt_timeout: Duration::from_secs(3_600), retry, ..Policy::default() }
    }

    async fn run(&self, cx: &ActivityContext, input: &ReconcileInput) -> Result<Reconciled, ActivityError> {
        let (tell, progress) = watch::channel(Progress { phase: "payments", ..Progress::default() });
        let known = differences::open_payments(&mut *self.pool.acquire().await?, MOST_KNOWN).await?;
        let sides = Sides { pool: &self.pool, gateway: self.gateway.as_ref(), runs: Runs::Step(cx) };
        let compared = tokio::select! {
            compared = compare(sides, Scope::from(input), known, &tell) => compared,
            never = self.tell_progress(cx, &progress) => match never {},
            () = cx.cancelled() => return Err(ActivityError::failed("cancelled", "the worker stops")),
        };
        match compared {
            Ok(compared) => self.record(cx, &compared).await,
            Err(error) => {
                let said = error.to_string();
                let last = *progress.borrow();
                let mut conn = self.pool.acquire().await?;
                differences::note_progress(&mut conn, cx.run_id(), &last, Some(&said)).await?;
                let error = match error {
                    Unreadable::Gateway(error) => from_gateway(&error),
                    Unreadable::Database(error) => refused(Error::from(error)),
                    Unreadable::Engine(error) => error.into(),
                };
                // Reading has no effect, whatever became of it.
                Err(ActivityError { unknown: false, ..error })
            }
        }
    }
}

/// What never is.
enum Never {}

impl CompareBooks {
    /// Best effort: a comparison is not given up because nobody can be told.
    async fn tell_progress(&self, cx: &ActivityContext, progress: &watch::Receiver<Progress>) -> Never {
        loop {
            let now = *progress.borrow();
            let written = async {
                let mut conn = self.pool.acquire().await?;
                differences::note_progress(&mut conn, cx.run_id(), &now, None).await
            };
            if let Err(error) = written.await {
                tracing::debug!(%error, "could not write how far the comparison is");
            }
            if let Err(error) = cx.heartbeat(&now) {
                tracing::debug!(%error, "the progress has no JSON form");
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    async fn record(&self, cx: &ActivityContext, compared: &Compared) -> Result<Reconciled, ActivityError> {
        let mut open = 0;
        for looked in &compared.looked {
            open += self.record_payment(looked).await?;
        }
        let mut tx = begin(&self.pool).await?;
        for found in &compared.books {
            open += i64::from(differences::record(&mut tx, found, compared.books_read_at).await?);
        }
        if compared.books_whole {
            differences::close_books(&mut tx, compared.books_read_at).await?;
        }
        let progress = compared.progress;
        differences::note_progress(&mut tx, cx.run_id(), &progress, None).await?;
        differences::finish(&mut tx, cx.run_id(), open).await?;
        tx.commit().await?;
        let Progress { payments, orders, refunds, under_way, unknown, .. } = progress;
        Ok(Reconciled { payments, orders, refunds, under_way, unknown, differences: open })
    }

    /// Records one payment's differences, and that its others are gone. Nothing, where nothing certain is known.
    async fn record_payment(&self, looked: &Looked) -> Result<i64, ActivityError> {
        let Verdict::Settled(found) = &looked.verdict else { return Ok(0) };
        let mut tx = begin(&self.pool).await?;
        let mut open = 0;
        for one in found {
            open += i64::from(differences::record(&mut tx, one, looked.read_at).await?);
        }
        let kinds: Vec<&str> = found.iter().map(|found| found.kind.word()).collect();
        differences::close_others(&mut tx, &looked.payment_id, &kinds, looked.read_at).await?;
        tx.commit().await?;
        Ok(open)
    }
}
