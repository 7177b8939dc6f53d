//! The smallest useful workflow: it moves money between two accounts, and returns it if the second half fails.
//!
//! `cargo run --example transfer` runs it twice on an embedded Postgres: to an open account, and to a closed one. The
//! README quotes its core. The bank stands for an external system that honours idempotency keys.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backstitch::{
    embedded::Embedded,
    engine::{
        Activity, ActivityContext, ActivityError, Context, Engine, Failure, Registry, StartRun, Verified, WorkerConfig,
        Workflow,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Serialize, Deserialize)]
struct Transfer {
    id: String,
    from: String,
    to: String,
    cents: i64,
}

/// Withdraws the money from the first account.
struct Withdraw(Bank);

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
struct Deposit(Bank);

impl Activity for Deposit {
    const NAME: &'static str = "deposit";
    type Input = Transfer;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, input: &Transfer) -> Result<(), ActivityError> {
        self.0.post(cx.key(), &input.id, &input.to, input.cents)
    }
}

struct MoveMoney;

impl Workflow for MoveMoney {
    const NAME: &'static str = "move_money";
    type Input = Transfer;
    type Output = String;

    async fn run(&self, cx: &Context, transfer: Transfer) -> Result<String, Failure> {
        cx.call::<Withdraw>(transfer.clone()).await?;
        cx.call::<Deposit>(transfer.clone()).await?;
        Ok(format!("{} cents to {}", transfer.cents, transfer.to))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Embedded::temporary().await?;
    let pool = PgPool::connect(&server.url()).await?;
    let bank = Bank::default();
    let registry = Registry::new().workflow(MoveMoney).activity(Withdraw(bank.clone())).activity(Deposit(bank.clone()));
    let engine = Engine::new(pool.clone(), registry);
    engine.migrate().await?;
    let stop = CancellationToken::new();
    let worker = tokio::spawn(engine.clone().work(WorkerConfig::default(), stop.clone().cancelled_owned()));

    for to in ["bob", "closed"] {
        let id = format!("transfer-to-{to}");
        let transfer = Transfer { id: id.clone(), from: "alice".into(), to: to.into(), cents: 500 };
        let run = engine.start(StartRun::new::<MoveMoney>(&transfer)?.key(id)).await?.run;
        let result = engine.result(run, Duration::from_secs(30)).await?;
        let why = result.failure.map_or_else(String::new, |failure| format!(", because {failure}"));
        println!("{to}: {}{why}; alice has {}", result.status, bank.balance("alice"));
    }

    stop.cancel();
    worker.await??;
    pool.close().await;
    server.stop().await;
    Ok(())
}

/// Transfer, account and cents, by idempotency key.
type Postings = BTreeMap<String, (String, String, i64)>;

/// The bank's books.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<Postings>>);

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

    fn balance(&self, account: &str) -> i64 {
        self.books().values().filter(|(_, at, _)| at == account).map(|(_, _, cents)| cents).sum()
    }

    fn books(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (String, String, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
