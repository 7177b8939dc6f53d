//! Circuit breakers: when calls of another system are held back because most of them fail.
//!
//! ```text
//! closed ── most calls of a window failed ──▶ open ── some time has passed ──▶ half open, one probe
//!    ▲                                         ▲                                   │ served │ failed
//!    └─────────────────────────────────────────┼───────────────────────────────────┘        │
//!                                              └────────────────────────────────────────────┘
//! ```
//!
//! Times are milliseconds of one clock, the database's.

use super::words::words;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Calls are counted by windows of this length.
    pub window_ms: i64,
    /// Of fewer calls in a window nothing follows.
    pub least_calls: u32,
    /// It opens when so many of a hundred calls of the window failed.
    pub failing_percent: u32,
    /// How long it is open before a probe may go.
    pub open_ms: i64,
    /// A probe that has not been heard of for so long is taken for lost.
    pub probe_ms: i64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { window_ms: 10_000, least_calls: 20, failing_percent: 70, open_ms: 5_000, probe_ms: 30_000 }
    }
}

words! {
    /// Where a breaker stands by itself.
    BreakerState, "state" {
        /// Calls go through, and are counted.
        Closed = "closed",
        /// Calls are held back.
        Open = "open",
        /// One call, the probe, is under way; what it comes to decides.
        HalfOpen = "half_open",
    }
}

words! {
    /// What operators want of a breaker.
    BreakerMode, "state" {
        /// It decides by itself.
        Auto = "auto",
        /// Calls are held back, whatever becomes of them.
        Open = "open",
        /// Calls go through, whatever becomes of them.
        Closed = "closed",
    }
}

impl BreakerState {
    /// As a number for a metric: 0 closed, 1 half open, 2 open.
    pub const fn severity(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// A breaker, as all processes share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Where it stands.
    pub state: BreakerState,
    /// Since when. It names the probe of a half-open one too.
    pub since: i64,
    /// When the window of its counts began.
    pub window_from: i64,
    /// Calls of the window.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Yes,
    /// It may, and decides for all: the circuit has to be written first.
    Probe(Circuit),
    /// It may not, for so many milliseconds.
    No(i64),
}

impl Circuit {
    /// A closed one that has counted nothing.
    pub const fn closed(now: i64) -> Self {
        Self { state: BreakerState::Closed, since: now, window_from: now, calls: 0, failures: 0 }
    }

    /// Whether a call may go now.
    pub fn admit(self, rules: &BreakerRules, now: i64) -> Admission {
        let due = match self.state {
            BreakerState::Closed => return Admission::Yes,
            BreakerState::Open => self.since.saturating_add(rules.open_ms),
            BreakerState::HalfOpen => self.since.saturating_add(rules.probe_ms),
        };
        if now < due {
            return Admission::No(due.saturating_sub(now));
        }
        // Later than the last one, whatever the clock says: the moment is the probe's name.
        let since = now.max(self.since.saturating_add(1));
        Admission::Probe(Self { state: BreakerState::HalfOpen, since, ..self })
    }

    /// After calls that were admitted while it was closed. Those that end later say nothing of the present.
    pub fn count(self, rules: &BreakerRules, calls: u32, failures: u32, now: i64) -> Self {
        if self.state != BreakerState::Closed {
            return self;
        }
        let fresh = now.saturating_sub(self.window_from) < rules.window_ms;
        let window = if fresh { self } else { Self { window_from: now, calls: 0, failures: 0, ..self } };
        let calls = window.calls.saturating_add(calls);
        let failures = window.failures.saturating_add(failures).min(calls);
        let failing = u64::from(failures).saturating_mul(100)
            >= u64::from(calls).saturating_mul(u64::from(rules.failing_percent));
        if calls >= rules.least_calls && failures > 0 && failing {
            return Self { state: BreakerState::Open, since: now, calls, failures, ..window };
        }
        Self { calls, failures, ..window }
    }

    /// After the probe that began at `probe`. An earlier one that was taken for lost decides nothing.
    pub fn settle(self, probe: i64, served: bool, now: i64) -> Self {
        if self.state != BreakerState::HalfOpen || self.since != probe {
            return self;
        }
        match served {
            true => Self::closed(now),
            false => Self { state: BreakerState::Open, since: now, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: BreakerRules =
        BreakerRules { window_ms: 1_000, least_calls: 4, failing_percent: 50, open_ms: 500, probe_ms: 2_000 };

    #[test]
    fn it_opens_when_most_of_enough_calls_fail() {
        let fresh = Circuit::closed(0);
        assert_eq!(fresh.count(&RULES, 3, 3, 10).state, BreakerState::Closed, "too few");
        assert_eq!(fresh.count(&RULES, 4, 1, 10).state, BreakerState::Closed, "too few fail");
        assert_eq!(fresh.count(&RULES, 4, 2, 10).state, BreakerState::Open);
        let split = fresh.count(&RULES, 3, 3, 10).count(&RULES, 1, 0, 20);
        assert_eq!(split.state, BreakerState::Open, "processes add up");
        let stale = fresh.count(&RULES, 3, 3, 10).count(&RULES, 1, 1, 1_010);
        assert_eq!((stale.state, stale.calls), (BreakerState::Closed, 1), "another window");
    }

    #[test]
    fn a_probe_decides_and_a_lost_one_does_not() {
        let open = Circuit::closed(0).count(&RULES, 4, 4, 10);
        assert_eq!(open.admit(&RULES, 100), Admission::No(410));
        let Admission::Probe(half) = open.admit(&RULES, 510) else { panic!("it is due") };
        assert!(matches!(half.admit(&RULES, 600), Admission::No(_)), "one at a time");
        assert_eq!(half.settle(half.since, true, 700).state, BreakerState::Closed);
        assert_eq!(half.settle(half.since, false, 700).state, BreakerState::Open);
        let Admission::Probe(second) = half.admit(&RULES, 2_510) else { panic!("the first is lost") };
        assert_eq!(second.settle(half.since, true, 2_600), second, "the first one speaks late");
    }

    #[derive(Clone, Copy, Debug)]
    enum Move {
        Call,
        End(usize, bool),
        Wait(i64),
    }

    fn one_move() -> impl Strategy<Value = Move> {
        prop_oneof![
            4 => Just(Move::Call),
            4 => (0_usize..8, any::<bool>()).prop_map(|(which, served)| Move::End(which, served)),
            1 => (1_i64..3_000).prop_map(Move::Wait),
        ]
    }

    proptest! {
        /// Whatever calls come to: one probe at a time unless one is lost, none before its time, and it never stays shut.
        #[test]
        fn an_open_breaker_lets_one_probe_through(moves in prop::collection::vec(one_move(), 1..300)) {
            let (mut now, mut circuit) = (0, Circuit::closed(0));
            let mut under_way: Vec<Option<i64>> = Vec::new();
            for next in moves {
                let before = circuit;
                match next {
                    Move::Wait(ms) => now += ms,
                    Move::Call => match circuit.admit(&RULES, now) {
                        Admission::Yes => under_way.push(None),
                        Admission::Probe(half) => {
                            let waited = now - before.since;
                            let least = if before.state == BreakerState::Open { RULES.open_ms } else { RULES.probe_ms };
                            prop_assert!(waited >= least);
                            prop_assert!(half.since > before.since);
                            under_way.push(Some(half.since));
                            circuit = half;
                        }
                        Admission::No(after) => {
                            prop_assert!(after > 0);
                            prop_assert!(!matches!(circuit.admit(&RULES, now + after), Admission::No(_)));
                        }
                    },
                    Move::End(which, served) if !under_way.is_empty() => {
                        let call = under_way.remove(which % under_way.len());
                        circuit = match call {
                            None => circuit.count(&RULES, 1, u32::from(!served), now),
                            Some(probe) => circuit.settle(probe, served, now),
                        };
                        if before.state != BreakerState::Closed && circuit.state == BreakerState::Closed {
                            prop_assert_eq!((call, served), (Some(before.since), true));
                        }
                    }
                    Move::End(..) => {}
                }
                prop_assert!(circuit.failures <= circuit.calls);
            }
        }
    }
}
