//! `park`: two steps, a second's sleep, a signal, three steps. A run waits twice as rows only. Signals come in batches, as the starts
//! did, once most runs wait for theirs.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::value::RawValue;

use super::{
    parts::{self, Note, Order},
    plain::{Charge, Confirm, Notify, Reserve},
    scenario::Scenario,
};
use crate::engine::{
    Activity, ActivityContext, ActivityError, Context, Engine, Error, Failure, Registry, RunId, SendSignal, StartRun,
    Workflow,
};

/// How long each run sleeps, and how long after its start it is sent its signal.
const SLEEP: Duration = Duration::from_secs(1);
const SIGNAL_AFTER: Duration = Duration::from_millis(2_000);
const SIGNAL: &str = "go_on";

/// Runs that park twice.
pub(super) struct Park {
    input: Arc<RawValue>,
    ended: Arc<AtomicU64>,
    failed: Arc<OnceLock<String>>,
}

impl Park {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { input: parts::input()?, ended: Arc::default(), failed: Arc::default() })
    }
}

impl Scenario for Park {
    const NAME: &'static str = "park";
    const STEPS_PER_RUN: u32 = 7;
    const RUNS: usize = 20_000;
    const IDLE_RUNS: usize = 0;

    fn register(&self, registry: Registry) -> Registry {
        let registry = registry.workflow(BenchParked).activity(Reserve).activity(Charge).activity(Confirm);
        registry.activity(Notify).activity(Last { ended: self.ended.clone() })
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchParked::NAME, self.input.clone())
    }

    fn count_ended(&self) -> Option<u64> {
        Some(self.ended.load(Ordering::Relaxed))
    }

    fn accompany(&self, engine: &Engine, started: Vec<RunId>) {
        let (engine, failed) = (engine.clone(), self.failed.clone());
        tokio::spawn(async move {
            tokio::time::sleep(SIGNAL_AFTER).await;
            let signal = |run| SendSignal { run, name: SIGNAL.to_owned(), payload: None, key: None };
            let signals: Vec<SendSignal> = started.into_iter().map(signal).collect();
            let sent = engine.signal_batch(&signals).await;
            let sent = sent.and_then(|sent| sent.into_iter().collect::<Result<(), Error>>());
            if let Err(error) = sent {
                let _ = failed.set(error.to_string()); // the first one says enough
            }
        });
    }

    async fn check(&self, _: &Engine, _: usize) -> anyhow::Result<()> {
        self.failed.get().map_or(Ok(()), |error| anyhow::bail!("a signal was refused: {error}"))
    }
}

/// The last step counts.
struct Last {
    ended: Arc<AtomicU64>,
}

impl Activity for Last {
    const NAME: &'static str = "last";
    type Input = ();
    type Output = Note;

    async fn run(&self, _: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(Note::new())
    }
}

struct BenchParked;

impl Workflow for BenchParked {
    const NAME: &'static str = "bench_parked";
    type Input = Order;
    type Output = Note;

    async fn run(&self, cx: &Context, _: Order) -> Result<Note, Failure> {
        cx.call::<Reserve>(()).await?;
        cx.call::<Charge>(()).await?;
        cx.sleep(SLEEP).await;
        cx.signal::<()>(SIGNAL).forever().await?;
        cx.call::<Confirm>(()).await?;
        cx.call::<Notify>(()).await?;
        Ok(cx.call::<Last>(()).await?)
    }
}
