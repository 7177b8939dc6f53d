//! What a process knows of circuit breakers, and has not written yet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{
    core::breaker::{Admission, BreakerMode, BreakerRules, Circuit},
    store::breakers::Recorded,
};

/// Counts are written so often at most.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// A scope and an operation.
pub(super) type Name = (String, String);

/// What this process knows of all breakers, and has not written yet.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    pub(super) rules: BreakerRules,
    read_at: Option<Instant>,
    pub(super) is_reading: bool,
    /// The database's time when it was read, in milliseconds.
    now: i64,
    pub(super) modes: HashMap<String, BreakerMode>,
    pub(super) circuits: HashMap<Name, Circuit>,
    counts: HashMap<Name, Counts>,
}

/// Calls that are not written yet.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u32,
    failures: u32,
    since: Option<Instant>,
    written: Option<Instant>,
}

impl Breakers {
    /// None: the database did not answer; nobody is held back by what was true long ago.
    pub(super) fn take_in(&mut self, read: Option<Recorded>) {
        self.is_reading = false;
        self.read_at = Some(Instant::now());
        let Recorded { now, circuits, modes } = read.unwrap_or_default();
        self.now = now;
        self.modes = modes.into_iter().collect();
        self.circuits = circuits.into_iter().map(|(scope, operation, circuit)| ((scope, operation), circuit)).collect();
    }

    pub(super) fn age(&self) -> Duration {
        self.read_at.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// The database's time, about.
    fn time(&self) -> i64 {
        self.now.saturating_add(i64::try_from(self.age().as_millis()).unwrap_or(i64::MAX))
    }

    pub(super) fn look(&self, name: &Name, rules: &BreakerRules) -> Look {
        match self.modes.get(&name.0) {
            Some(BreakerMode::Open) => return Look::HeldBack { by_operator: true, ms: rules.open_ms },
            Some(BreakerMode::Closed) => return Look::Go,
            Some(BreakerMode::Auto) | None => {}
        }
        let Some(circuit) = self.circuits.get(name) else { return Look::Go };
        match circuit.admit(rules, self.time()) {
            Admission::Yes => Look::Go,
            Admission::No(ms) => Look::HeldBack { by_operator: false, ms },
            Admission::Probe(_) => Look::MayProbe,
        }
    }

    /// Counts one call. What is to be written now, if anything is: nothing, as long as no call fails here or elsewhere.
    pub(super) fn count(&mut self, name: &Name, failed: bool, rules: &BreakerRules) -> Option<(u32, u32)> {
        let time = self.time();
        let troubled = self
            .circuits
            .get(name)
            .is_some_and(|circuit| circuit.failures > 0 && time.saturating_sub(circuit.window_from) < rules.window_ms);
        let counts = self.counts.entry(name.clone()).or_default();
        let window = Duration::from_millis(rules.window_ms.unsigned_abs());
        if counts.since.is_none_or(|since| since.elapsed() >= window) {
            *counts = Counts { since: Some(Instant::now()), written: counts.written, ..Counts::default() };
        }
        counts.calls = counts.calls.saturating_add(1);
        counts.failures = counts.failures.saturating_add(u32::from(failed));
        let rested = counts.written.is_none_or(|at| at.elapsed() >= WRITE_EVERY);
        if !rested || (counts.failures == 0 && !troubled) {
            return None;
        }
        let written = (counts.calls, counts.failures);
        *counts = Counts { written: Some(Instant::now()), ..Counts::default() };
        Some(written)
    }
}

/// What is known of one breaker.
pub(super) enum Look {
    Go,
    /// It is time for a probe.
    MayProbe,
    HeldBack {
        by_operator: bool,
        ms: i64,
    },
}

/// What a process knows, shared by all clones of its engine.
pub(crate) type SharedBreakers = Arc<Mutex<Breakers>>;
