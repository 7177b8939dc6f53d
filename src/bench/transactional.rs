//! `transactional`: five steps, each one INSERT into a table of the caller's, in one commit with the step's record.

use std::sync::Arc;

use anyhow::ensure;
use serde_json::value::RawValue;

use super::{
    parts::{self, Note, in_turn},
    scenario::Scenario,
};
use crate::engine::{
    Activity, ActivityCalls, ActivityContext, ActivityError, Answer, Engine, Error, Registry, RunId, StartRun, Workflow,
};

/// Five transactional steps.
pub(super) struct Transactional {
    input: Arc<RawValue>,
}

impl Transactional {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { input: parts::input()? })
    }
}

impl Scenario for Transactional {
    const NAME: &'static str = "transactional";
    const STEPS_PER_RUN: u32 = 5;
    const RUNS: usize = 1_000;
    const IDLE_RUNS: usize = 100;

    fn register(&self, registry: Registry) -> Registry {
        let registry = registry.workflow(BenchBooked).activity(Reserve).activity(Charge).activity(Confirm);
        registry.activity(Notify).activity(Archive)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchBooked::NAME, self.input.clone())
    }

    async fn prepare(&self, engine: &Engine) -> anyhow::Result<()> {
        let table =
            "CREATE TABLE IF NOT EXISTS bench_entry (run_id uuid, seq int, step text, PRIMARY KEY (run_id, seq))";
        sqlx::query(table).execute(engine.pool()).await?;
        sqlx::query("TRUNCATE bench_entry").execute(engine.pool()).await?;
        Ok(())
    }

    /// Every entry is of one of its runs; beside those that are counted there is the one before.
    async fn check(&self, engine: &Engine, runs: usize) -> anyhow::Result<()> {
        let query = "SELECT count(*), count(DISTINCT run_id) FROM bench_entry";
        let (entries, of): (i64, i64) = sqlx::query_as(query).fetch_one(engine.pool()).await?;
        ensure!(
            of as usize == runs + 1 && entries == of * 5,
            "{entries} entries of {of} runs; {runs} runs were started"
        );
        Ok(())
    }
}

/// The five steps differ in their names only.
macro_rules! step {
    ($type:ident, $name:literal) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            const TRANSACTIONAL: bool = true;
            type Input = ();
            type Output = Note;
            async fn run(&self, cx: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
                let entry = sqlx::query("INSERT INTO bench_entry (run_id, seq, step) VALUES ($1, $2, $3)");
                let entry = entry.bind(cx.run_id()).bind(cx.seq().cast_signed()).bind(Self::NAME);
                entry.execute(&mut *cx.tx().await?).await?;
                Ok(Note::new())
            }
            async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<Note>>, ActivityError> {
                let (runs, seqs): (Vec<RunId>, Vec<i32>) =
                    calls.iter().map(|call| (call.cx.run_id(), call.cx.seq().cast_signed())).unzip();
                let entries = "INSERT INTO bench_entry (run_id, seq, step)
                    SELECT k.run_id, k.seq, $3 FROM unnest($1::uuid[], $2::int[]) AS k (run_id, seq)";
                let entries = sqlx::query(entries).bind(runs).bind(seqs).bind(Self::NAME);
                entries.execute(&mut *calls.tx().await?).await?;
                Ok(calls.iter().map(|call| call.answer(Ok(Note::new()))).collect())
            }
        }
    };
}
step!(Reserve, "reserve");
step!(Charge, "charge");
step!(Confirm, "confirm");
step!(Notify, "notify");
step!(Archive, "archive");

in_turn!(BenchBooked, "bench_booked", [Reserve, Charge, Confirm, Notify], Archive);
