//! The saga harness on a small saga: a transfer between two accounts, with a hold in the step's own transaction, a
//! withdrawal that can be verified, a deposit that can't, and a notice after the pivot.
//!
//! And the harness itself: it must notice sagas that don't clean up.

mod support;

use std::time::Duration;

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Context, Engine, Failure, Policy, Registry, Retry, Run, RunId, StartRun,
    Verified, Workflow,
    testing::{Breach, Saga, advance, try_everything, try_faults},
    to_json,
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use support::TestDatabase;

/// Attempts come quickly, and there are enough of them for a fault each.
fn quick() -> Policy {
    let retry =
        Retry { max_attempts: 4, first: Duration::from_millis(5), factor: 1.0, longest: Duration::from_millis(5) };
    Policy { retry, undo_retry: retry, ..Policy::default() }
}

/// The bank, which honours keys: `moved` holds what is in force, `refused` the keys and moves that are refused for ever.
#[derive(Clone)]
struct Bank(PgPool);

impl Bank {
    async fn moves(&self, run: RunId, what: &str, key: &str) -> Result<(), ActivityError> {
        let lost = |error: sqlx::Error| ActivityError::unknown("bank", error.to_string());
        let query = "INSERT INTO moved SELECT $1, $2, $3 WHERE NOT EXISTS
            (SELECT FROM refused WHERE run = $1 AND what = $2 AND (key IS NULL OR key = $3)) ON CONFLICT DO NOTHING";
        sqlx::query(query).bind(run).bind(what).bind(key).execute(&self.0).await.map_err(lost)?;
        Ok(())
    }

    async fn moves_back(&self, run: RunId, what: &str) -> Result<(), ActivityError> {
        let lost = |error: sqlx::Error| ActivityError::unknown("bank", error.to_string());
        let query =
            "WITH r AS (INSERT INTO refused VALUES ($1, $2, NULL)) DELETE FROM moved WHERE run = $1 AND what = $2";
        sqlx::query(query).bind(run).bind(what).execute(&self.0).await.map_err(lost)?;
        Ok(())
    }
}

struct Hold;

impl Activity for Hold {
    const NAME: &'static str = "hold";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    type Input = RunId;
    type Output = ();

    fn policy() -> Policy {
        quick()
    }

    async fn run(&self, cx: &ActivityContext, run: &RunId) -> Result<(), ActivityError> {
        let mut tx = cx.tx().await?;
        sqlx::query("INSERT INTO money_held VALUES ($1)").bind(run).execute(&mut *tx).await?;
        Ok(())
    }

    async fn undo(&self, cx: &ActivityContext, run: &RunId, _: Option<&()>) -> Result<(), ActivityError> {
        let mut tx = cx.tx().await?;
        sqlx::query("DELETE FROM money_held WHERE run = $1").bind(run).execute(&mut *tx).await?;
        Ok(())
    }
}

struct Withdraw(Bank);

impl Activity for Withdraw {
    const NAME: &'static str = "withdraw";
    const UNDOABLE: bool = true;
    const VERIFIABLE: bool = true;
    type Input = RunId;
    type Output = ();

    fn policy() -> Policy {
        quick()
    }

    async fn run(&self, cx: &ActivityContext, run: &RunId) -> Result<(), ActivityError> {
        self.0.moves(*run, "withdraw", cx.key()).await
    }

    async fn verify(&self, cx: &ActivityContext, run: &RunId) -> Result<Verified<()>, ActivityError> {
        // Refused from now on, or it would be no answer.
        let query = "INSERT INTO refused SELECT $1, 'withdraw', $2 WHERE NOT EXISTS
            (SELECT FROM moved WHERE run = $1 AND what = 'withdraw' AND key = $2)";
        let burnt = sqlx::query(query).bind(run).bind(cx.key()).execute(&self.0.0).await?;
        Ok(if burnt.rows_affected() > 0 { Verified::NeverWill } else { Verified::Happened(()) })
    }

    async fn undo(&self, _: &ActivityContext, run: &RunId, _: Option<&()>) -> Result<(), ActivityError> {
        self.0.moves_back(*run, "withdraw").await
    }
}

struct Deposit {
    bank: Bank,
    /// It says that it was undone, and was not.
    forgetful: bool,
}

impl Activity for Deposit {
    const NAME: &'static str = "deposit";
    const UNDOABLE: bool = true;
    type Input = RunId;
    type Output = ();

    fn policy() -> Policy {
        quick()
    }

    async fn run(&self, cx: &ActivityContext, run: &RunId) -> Result<(), ActivityError> {
        self.bank.moves(*run, "deposit", cx.key()).await
    }

    async fn undo(&self, _: &ActivityContext, run: &RunId, _: Option<&()>) -> Result<(), ActivityError> {
        if self.forgetful { Ok(()) } else { self.bank.moves_back(*run, "deposit").await }
    }
}

struct Notify(Bank);

impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Input = RunId;
    type Output = ();

    fn policy() -> Policy {
        quick()
    }

    async fn run(&self, cx: &ActivityContext, run: &RunId) -> Result<(), ActivityError> {
        self.0.moves(*run, "notify", cx.key()).await
    }
}

struct Transfer;

impl Workflow for Transfer {
    const NAME: &'static str = "transfer";
    type Input = RunId;
    type Output = ();

    async fn run(&self, cx: &Context, run: RunId) -> Result<(), Failure> {
        cx.call::<Hold>(run).await?;
        cx.call::<Withdraw>(run).await?;
        cx.call::<Deposit>(run).await?;
        cx.pivot().await;
        cx.call::<Notify>(run).await?;
        Ok(())
    }
}

struct TransferSaga {
    database: TestDatabase,
    forgetful: bool,
}

impl TransferSaga {
    async fn new(forgetful: bool) -> Self {
        let database = TestDatabase::new().await;
        for table in [
            "CREATE TABLE money_held (run uuid PRIMARY KEY)",
            "CREATE TABLE moved (run uuid, what text, key text, PRIMARY KEY (run, what, key))",
            "CREATE TABLE refused (run uuid, what text, key text)",
        ] {
            sqlx::query(table).execute(database.pool()).await.expect("the database is ours");
        }
        Self { database, forgetful }
    }
}

impl Saga for TransferSaga {
    fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(6).connect_lazy(self.database.url()).expect("its URL is one")
    }

    fn registry(&self, pool: &PgPool) -> Registry {
        let bank = Bank(pool.clone());
        Registry::new()
            .workflow(Transfer)
            .activity(Hold)
            .activity(Withdraw(bank.clone()))
            .activity(Deposit { bank: bank.clone(), forgetful: self.forgetful })
            .activity(Notify(bank))
    }

    fn start(&self, run: RunId) -> StartRun {
        StartRun::new::<Transfer>(&run).expect("an id has a JSON form")
    }

    async fn check(&self, pool: &PgPool, run: &Run) -> Result<(), String> {
        let query = "SELECT (SELECT count(*) FROM money_held WHERE run = $1),
            (SELECT count(*) FROM moved WHERE run = $1 AND what = 'withdraw'),
            (SELECT count(*) FROM moved WHERE run = $1 AND what = 'deposit'),
            (SELECT count(*) FROM moved WHERE run = $1 AND what = 'notify')";
        let found: (i64, i64, i64, i64) =
            sqlx::query_as(query).bind(run.id).fetch_one(pool).await.map_err(|error| error.to_string())?;
        match (run.status.word(), found) {
            ("completed", (1, 1, 1, 1..)) | ("compensated" | "failed", (0, 0, 0, 0)) => Ok(()),
            (status, found) => Err(format!("{status}: hold, withdrawal, deposit and notices are {found:?}")),
        }
    }
}

/// It sleeps for an hour, and waits for an hour for a signal that the world sends with the engine's help; or doesn't.
struct Patient;

impl Workflow for Patient {
    const NAME: &'static str = "patient";
    type Input = ();
    type Output = bool;

    async fn run(&self, cx: &Context, (): ()) -> Result<bool, Failure> {
        cx.sleep(HOUR).await;
        cx.call::<Pass>(()).await?;
        let sent = cx.signal::<bool>("go").within(HOUR).await?;
        let waited = cx.signal::<bool>("never").within(HOUR).await?;
        Ok(sent == Some(true) && waited.is_none())
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

struct Pass;

impl Activity for Pass {
    const NAME: &'static str = "pass";
    type Input = ();
    type Output = ();

    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        Ok(())
    }
}

struct PatientSaga(TestDatabase);

impl Saga for PatientSaga {
    fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(6).connect_lazy(self.0.url()).expect("its URL is one")
    }

    fn registry(&self, _: &PgPool) -> Registry {
        Registry::new().workflow(Patient).activity(Pass)
    }

    fn start(&self, _: RunId) -> StartRun {
        StartRun::new::<Patient>(&()).expect("it has a JSON form")
    }

    async fn nudge(&self, engine: &Engine, run: &Run) {
        let waits_for = run.waiting_on.as_ref().and_then(|waiting| waiting.name.as_deref());
        if waits_for == Some("go") {
            let yes = to_json(&true).expect("it has a JSON form");
            engine.signal(run.id, "go", Some(yes), None).await.expect("it is taken");
        } else {
            advance(engine, HOUR).await.expect("the clock can be moved");
        }
    }

    async fn check(&self, _: &PgPool, run: &Run) -> Result<(), String> {
        let output = run.output.as_ref().map(|json| json.get());
        match (run.status.word(), output) {
            ("completed", Some("true")) | ("failed", None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }
}

#[tokio::test]
async fn hours_of_sleep_take_no_time() {
    let saga = PatientSaga(TestDatabase::new().await);
    let report = try_everything(&saga).await.unwrap_or_else(|breach| panic!("{breach}: {breach:?}"));
    assert!(report.crashes >= 4, "{report:?}");
}

#[tokio::test]
async fn a_transfer_is_all_or_nothing_under_every_fault() {
    let saga = TransferSaga::new(false).await;
    let report = try_everything(&saga).await.unwrap_or_else(|breach| panic!("{breach}: {breach:?}"));
    println!("{report:?}");
    assert!(report.trials >= 30 && report.crashes >= 15, "{report:?}");
}

#[tokio::test]
async fn a_saga_that_forgets_to_undo_is_found_out() {
    let saga = TransferSaga::new(true).await;
    let breach = try_faults(&saga).await.expect_err("its deposit is never undone");
    let Breach::Promise { trial, what } = breach else { panic!("{breach:?}") };
    assert!(trial.contains("deposit") && what.contains("compensated"), "{trial}: {what}");
}
