//! The kinds of activities that programs call: every sensible mix of undo, verify, transactional, read-only and queue.
//!
//! Their code is never run here: the outside world (`world.rs`) answers in its place. The core only needs their properties.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use backstitch::engine::{
    Activity, ActivityContext, ActivityError, Context, Policy, Retry, Schema, StepFailure,
    core::{
        catalog::{ActivityMeta, Catalog},
        holds::Begins,
    },
};

use crate::{
    program::{Call, KINDS, NodeId, Program},
    rng::Rng,
};

/// The queue that runs of the simulation are at home in, and the other one.
pub(crate) const HOME: &str = "home";
pub(crate) const AWAY: &str = "away";

const NAMES: [&str; KINDS as usize] = [
    "plain",
    "undo",
    "verify",
    "undo_verify",
    "tx",
    "tx_undo",
    "away_plain",
    "away_undo",
    "away_verify",
    "away_undo_verify",
    "away_tx",
    "away_tx_undo",
    "read",
    "read_undo",
    "read_tx",
    "read_tx_undo",
];

const fn undoable(kind: u8) -> bool {
    kind % 2 == 1
}

const fn verifiable(kind: u8) -> bool {
    matches!(kind % 6, 2 | 3) && !read_only(kind)
}

const fn transactional(kind: u8) -> bool {
    if read_only(kind) { kind >= 14 } else { kind % 6 >= 4 }
}

/// What it leaves to be undone begins with its record.
pub(crate) const fn read_only(kind: u8) -> bool {
    kind >= 12
}

struct Kind<const K: usize>;

impl<const K: usize> Activity for Kind<K> {
    const NAME: &'static str = NAMES[K];
    type Input = NodeId;
    type Output = NodeId;

    async fn run(&self, _: &ActivityContext, input: &NodeId) -> Result<NodeId, ActivityError> {
        Ok(*input)
    }
}

/// Makes a program's call; the answer is the call's id, or what went wrong.
pub(crate) async fn call(cx: &Context, call: &Call) -> Result<NodeId, StepFailure> {
    match call.kind {
        0 => typed::<0>(cx, call).await,
        1 => typed::<1>(cx, call).await,
        2 => typed::<2>(cx, call).await,
        3 => typed::<3>(cx, call).await,
        4 => typed::<4>(cx, call).await,
        5 => typed::<5>(cx, call).await,
        6 => typed::<6>(cx, call).await,
        7 => typed::<7>(cx, call).await,
        8 => typed::<8>(cx, call).await,
        9 => typed::<9>(cx, call).await,
        10 => typed::<10>(cx, call).await,
        11 => typed::<11>(cx, call).await,
        12 => typed::<12>(cx, call).await,
        13 => typed::<13>(cx, call).await,
        14 => typed::<14>(cx, call).await,
        _ => typed::<15>(cx, call).await,
    }
}

async fn typed<const K: usize>(cx: &Context, call: &Call) -> Result<NodeId, StepFailure> {
    let mut made = cx.call::<Kind<K>>(call.id);
    if let Some(ms) = call.deadline_ms {
        made = made.deadline(Duration::from_millis(ms));
    }
    if call.best_effort { Ok(made.best_effort().await.unwrap_or(call.id)) } else { made.await }
}

/// The activities that operators hold back, as everybody sees them.
pub(crate) type HeldBack = Arc<Mutex<BTreeSet<String>>>;

/// One activity's name.
pub(crate) fn any_name(rng: &mut Rng) -> &'static str {
    rng.pick(&NAMES)
}

/// What a worker serves.
pub(crate) struct Serving {
    pub(crate) queues: Vec<String>,
    pub(crate) held_back: HeldBack,
}

impl Begins for Serving {
    fn serves(&self, queue: &str) -> bool {
        self.queues.iter().any(|served| served == queue)
    }

    fn holds(&self, activity: &str) -> bool {
        self.held_back.lock().expect("no panic while locked").contains(activity)
    }
}

/// The registry, as the core sees it.
pub(crate) struct Kinds {
    metas: Vec<ActivityMeta>,
    missing: Option<&'static str>,
}

impl Kinds {
    pub(crate) fn new(program: &Program, deployed: bool) -> Self {
        let wait = Duration::from_millis(program.retry_ms);
        let retry = |max_attempts| Retry { max_attempts, first: wait, factor: 2.0, longest: wait * 3 };
        let meta = |kind: u8| {
            let (forward, undo) = program.attempts[kind as usize];
            ActivityMeta {
                name: NAMES[kind as usize],
                policy: Policy {
                    attempt_timeout: Duration::from_secs(4),
                    deadline: None,
                    retry: retry(forward),
                    non_retryable: Vec::new(),
                    undo_retry: retry(undo),
                },
                undoable: undoable(kind),
                verifiable: verifiable(kind),
                transactional: transactional(kind),
                read_only: read_only(kind),
                queue: (6..12).contains(&kind).then_some(AWAY),
                schema: Schema::default,
            }
        };
        let missing = if deployed { None } else { program.missing_kind.map(|kind| NAMES[kind as usize]) };
        Self { metas: (0..KINDS).map(meta).collect(), missing }
    }
}

impl Catalog for Kinds {
    fn activity(&self, name: &str) -> Option<&ActivityMeta> {
        self.metas.iter().find(|meta| meta.name == name && Some(meta.name) != self.missing)
    }
}
