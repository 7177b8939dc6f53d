//! Comparing our books with the gateway's: orders, captures, refunds, stock, and the gateway's own list.
//!
//! The lists are walked in pages, newest first; what does not look right on the way is a suspect. When all is walked, and
//! not before some time has passed, each suspect is looked at again, on both sides and by itself (`judge`): only what
//! differs then is a difference. So what moves while it is compared is none, and neither is what an answer leaves out.
//! Reads only; what was found is recorded by the caller.

mod judge;
mod walk;

use std::{collections::HashSet, time::Duration};

use sqlx::PgPool;

use super::{
    difference::Mismatch,
    store::{self, books::Booked},
};
use crate::{
    engine::{self, ActivityContext, Engine, RunId, Time},
    payments::{GatewayError, PaymentGateway},
};

pub(crate) use self::walk::compare;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What is older is not compared, unless there is a difference already.
    pub(crate) look_back: Duration,
    /// What changed later is taken to be under way.
    pub(crate) grace: Duration,
    /// How long after the first look at the earliest a suspect gets its second.
    pub(crate) second_look: Duration,
}

/// The same as moments of the database's clock.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: Time,
    until: Time,
}

/// Both sides.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) gateway: &'a dyn PaymentGateway,
    pub(crate) runs: Runs<'a>,
}

/// Who says which runs have ended.
#[derive(Clone, Copy)]
pub(crate) enum Runs<'a> {
    Engine(&'a Engine),
    /// In a step: its own engine.
    Step(&'a ActivityContext),
}

impl Sides<'_> {
    async fn ended_among(&self, runs: &[RunId]) -> Result<HashSet<RunId>, Unreadable> {
        Ok(match self.runs {
            Runs::Engine(engine) => engine.ended_among(runs).await?,
            Runs::Step(cx) => cx.ended_among(&mut *self.pool.acquire().await?, runs).await?,
        })
    }

    /// What nobody will settle is not under way: an order whose run was ended by an operator stays as it is.
    async fn without_run(&self, mut orders: Vec<Booked>) -> Result<Vec<Booked>, Unreadable> {
        let waits_for_run = |order: &Booked| order.under_way && !order.is_young;
        let runs: Vec<RunId> = orders.iter().filter(|order| waits_for_run(order)).map(|order| order.run_id).collect();
        if !runs.is_empty() {
            let ended = self.ended_among(&runs).await?;
            let left = orders.iter_mut().filter(|order| waits_for_run(order) && ended.contains(&order.run_id));
            left.for_each(|order| order.under_way = false);
        }
        Ok(orders)
    }
}

/// How far a comparison is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Progress {
    pub(crate) phase: &'static str,
    pub(crate) payments: i64,
    pub(crate) orders: i64,
    pub(crate) refunds: i64,
    pub(crate) under_way: i64,
    pub(crate) unknown: i64,
}

/// What a look at one payment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It differs so; without any, both sides agree.
    Settled(Vec<Mismatch>),
    /// It is still moving.
    UnderWay,
    /// The gateway's answer leaves out what has to be known.
    Unknown,
}

/// What a second look found.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    /// The gateway's id of the payment.
    pub(crate) payment_id: String,
    /// From when on a mend may not have been seen.
    pub(crate) read_at: Time,
    pub(crate) verdict: Verdict,
}

/// What a comparison found.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) progress: Progress,
    /// Each suspect.
    pub(crate) looked: Vec<Looked>,
    /// What our own records disagree about.
    pub(crate) books: Vec<Mismatch>,
    /// When those were read, and whether all of them are there.
    pub(crate) books_read_at: Time,
    pub(crate) books_whole: bool,
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

/// Looks at one payment as it is now, before something is done about it.
pub(crate) async fn look_now(sides: Sides<'_>, payment_id: &str) -> Result<Verdict, Unreadable> {
    let now = store::now(&mut *sides.pool.acquire().await?).await?;
    let span = Span { since: Time::UNIX_EPOCH, until: now };
    Ok(judge::look(sides, span, payment_id).await?.verdict)
}

impl Scope {
    async fn span(self, pool: &PgPool) -> Result<Span, sqlx::Error> {
        let now = store::now(&mut *pool.acquire().await?).await?;
        let before = |span: Duration| {
            let span = chrono::Duration::from_std(span).ok();
            span.and_then(|span| now.checked_sub_signed(span)).unwrap_or(Time::UNIX_EPOCH)
        };
        Ok(Span { since: before(self.look_back), until: before(self.grace) })
    }
}
