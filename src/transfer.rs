//! The smallest useful workflow: it moves money between two accounts, and returns it if the second half fails.
//!
//! The README quotes it, `examples/transfer.rs` runs it, and the binary has it registered, to try REST and CLI with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::engine::{Activity, ActivityContext, ActivityError, Context, Failure, Registry, Verified, Workflow};

/// Adds the workflow and its activities, over a bank.
pub fn register(registry: Registry, bank: &Bank) -> Registry {
    registry.described_workflow(MoveMoney).activity(Withdraw(bank.clone())).activity(Deposit(bank.clone()))
}

/// An order to move money.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Its name at the bank.
    pub id: String,
    /// The account to withdraw from.
    pub from: String,
    /// The account to deposit into; `closed` is one that refuses.
    pub to: String,
    /// How much.
    pub cents: i64,
}

/// Withdraws the money from the first account.
#[derive(Clone, Debug)]
pub struct Withdraw(pub Bank);

impl Activity for Withdraw {
    const NAME: &'static str = "withdraw";
    const UNDOABLE: bool = true;
    const VERIFIABLE: bool = true;
    type Input = Transfer;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &Transfer) -> Result<(), ActivityError> {
        self.0.post(cx.key(), &input.id, &input.from, -input.cents)
    }

    async fn verify(&self, cx: &ActivityContext, _: &Transfer) -> Result<Verified<()>, ActivityError> {
        Ok(if self.0.knows(cx.key()) { Verified::Happened(()) } else { Verified::NeverWill })
    }

    // Must be safe to call even if the withdrawal never happened.
    async fn undo(&self, _: &ActivityContext, input: &Transfer, _: Option<&()>) -> Result<(), ActivityError> {
        self.0.reverse(&input.id, &input.from);
        Ok(())
    }
}

/// Deposits it into the second one.
#[derive(Clone, Debug)]
pub struct Deposit(pub Bank);

impl Activity for Deposit {
    const NAME: &'static str = "deposit";
    type Input = Transfer;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &Transfer) -> Result<(), ActivityError> {
        self.0.post(cx.key(), &input.id, &input.to, input.cents)
    }
}

/// Moves money from one account to another; if the second half fails, the first is undone.
#[derive(Clone, Copy, Debug)]
pub struct MoveMoney;

impl Workflow for MoveMoney {
    const NAME: &'static str = "transfer";
    type Input = Transfer;
    type Output = String;

    async fn run(&self, cx: &Context, transfer: Transfer) -> Result<String, Failure> {
        cx.call::<Withdraw>(transfer.clone()).await?;
        cx.call::<Deposit>(transfer.clone()).await?;
        Ok(format!("{} cents to {}", transfer.cents, transfer.to))
    }
}

/// Transfer, account and cents, by idempotency key.
type Postings = BTreeMap<String, (String, String, i64)>;

/// A bank that honours idempotency keys and keeps its books in memory.
#[derive(Clone, Debug, Default)]
pub struct Bank(Arc<Mutex<Postings>>);

impl Bank {
    fn post(&self, key: &str, transfer: &str, account: &str, cents: i64) -> Result<(), ActivityError> {
        if account == "closed" {
            return Err(ActivityError::failed("account_closed", "the account is closed").fatal());
        }
        let posting = (transfer.to_owned(), account.to_owned(), cents);
        self.books().entry(key.to_owned()).or_insert(posting);
        Ok(())
    }

    fn knows(&self, key: &str) -> bool {
        self.books().contains_key(key)
    }

    fn reverse(&self, transfer: &str, account: &str) {
        self.books().retain(|_, (posted, at, _)| (posted.as_str(), at.as_str()) != (transfer, account));
    }

    /// What an account has, in cents.
    pub fn balance(&self, account: &str) -> i64 {
        self.books().values().filter(|(_, at, _)| at == account).map(|(_, _, cents)| cents).sum()
    }

    fn books(&self) -> MutexGuard<'_, Postings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
