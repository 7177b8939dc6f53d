//! Our books against the gateway's at once, for people: what a scheduled comparison does, without a record. Reads only.

use std::{collections::BTreeSet, time::Duration};

use tokio::sync::watch;

use super::Orders;
use crate::{
    orders::{
        difference::Mismatch,
        error::Error,
        reconcile::{Progress, Runs, Scope, Sides, Unreadable, Verdict, compare},
        runs::ReconcileInput,
        store::differences,
    },
    payments::PaymentGateway,
};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Orders that agree with the gateway.
    pub agree: usize,
    /// Orders and payments that are under way.
    pub under_way: usize,
    /// Answers of the gateway that leave out what has to be known.
    pub unknown: usize,
    /// What differs and was not written off so.
    pub differences: Vec<Mismatch>,
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Gateway(error) => error.into(),
            Unreadable::Database(error) => error.into(),
            Unreadable::Engine(error) => error.into(),
        }
    }
}

impl From<&ReconcileInput> for Scope {
    fn from(input: &ReconcileInput) -> Self {
        Self {
            look_back: Duration::from_millis(input.look_back_ms),
            grace: Duration::from_millis(input.grace_ms),
            second_look: Duration::from_millis(input.second_look_ms),
        }
    }
}

impl Orders {
    /// Compares orders, captures, refunds and stock with each other and with the gateway's own list.
    ///
    /// # Errors
    /// When the database or the gateway can't be reached.
    pub async fn compare(&self, gateway: &dyn PaymentGateway, scope: &ReconcileInput) -> Result<Comparison, Error> {
        let sides = Sides { pool: self.engine.pool(), gateway, runs: Runs::Engine(&self.engine) };
        let (tell, _) = watch::channel(Progress::default());
        let compared = compare(sides, Scope::from(scope), Vec::new(), &tell).await?;
        let mut differences = compared.books;
        for looked in compared.looked {
            if let Verdict::Settled(found) = looked.verdict {
                differences.extend(found);
            }
        }
        let written_off = differences::written_off(&mut *self.engine.acquire().await?).await?;
        differences.retain(|found| !written_off.contains(&found.as_it_is()));
        differences.sort_by_key(|found| (found.kind, found.about()));
        let number = |count: i64| usize::try_from(count).unwrap_or_default();
        let differ: BTreeSet<_> = differences.iter().filter_map(|found| found.order_id).collect();
        let progress = compared.progress;
        let (under_way, unknown) = (number(progress.under_way), number(progress.unknown));
        let agree = number(progress.orders).saturating_sub(under_way + unknown + differ.len());
        Ok(Comparison { agree, under_way, unknown, differences })
    }
}
