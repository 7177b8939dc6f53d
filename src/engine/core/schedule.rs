//! What becomes of a schedule's slots: started, queued, skipped or missed. A function of the schedule, what is known of its
//! runs, and the time; who calls it holds the schedule's lock and records each decision once.
//!
//! *Overlap*: what a slot does while the previous run has not ended. *Catch-up*: what becomes of slots that no server handled in
//! time, because no server ran or the schedule was paused. Every slot between two moments is decided once: [`decide`] takes
//! up where `next_at` says that the last decision ended.

use std::time::Duration;

use super::{cron::Cron, model::Time, time::Moment, words::words};

/// A slot that is seen to within this time is in time.
pub const GRACE: Duration = Duration::from_secs(60);

/// Slots that may be queued behind a run; further ones are skipped.
pub const QUEUED_AT_MOST: usize = 100;

/// The newest late slots are decided one by one; all older ones share one row.
pub const LATE_AT_MOST: usize = 1_000;

words! {
    /// What a slot does while the previous run has not ended.
    #[derive(Default)]
    Overlap, "overlap" {
        /// It is passed over.
        #[default]
        Skip = "skip",
        /// It starts when the previous run has ended; slots wait in their order, a hundred at most.
        Queue = "queue",
        /// It starts anyway.
        Allow = "allow",
    }
}

words! {
    /// What becomes of slots that were not seen to in time.
    #[derive(Default)]
    CatchUp, "catch-up" {
        /// They are missed.
        None = "none",
        /// One start makes up for all of them: the latest slot's.
        #[default]
        Latest = "latest",
        /// Each of them is seen to, as if it were in time; a thousand at most.
        All = "all",
    }
}

words! {
    /// What became of a slot, as it is recorded.
    SlotOutcome, "outcome" {
        /// A run was started.
        Started = "started",
        /// It waits for the previous run's end.
        Queued = "queued",
        /// It was passed over.
        Skipped = "skipped",
        /// No server handled it in time.
        Missed = "missed",
        /// The run could not be started.
        Refused = "refused",
    }
}

/// What is known of a schedule when its slots are decided.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The slot that is due next, if there is one.
    pub next_at: Option<Time>,
    /// A run that was started has not ended.
    pub running: bool,
    /// Slots that wait for a run to end, oldest first.
    pub queued: Vec<Time>,
}

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A run is started.
    Start,
    /// It waits for the previous run's end.
    Queue,
    /// It is passed over, for the previous run has not ended.
    Skip,
    /// It is passed over, for there are too many queued.
    Full,
    /// Nobody saw to it in time.
    Miss,
    /// The same, and all that follow it until this slot, which is the first that is decided by itself.
    MissUntil(Time),
}

/// One slot and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDecision {
    /// The slot.
    pub slot: Time,
    /// What becomes of it.
    pub verdict: Verdict,
    /// It has been queued before: its row is there.
    pub was_queued: bool,
}

/// What becomes of every slot that has come, and which comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// In the order of time.
    pub slots: Vec<SlotDecision>,
    /// The first slot that is still to come.
    pub next_at: Option<Time>,
}

/// Decides every slot up to `now` that has not been decided.
pub fn decide(cron: &Cron, overlap: Overlap, catch_up: CatchUp, standing: &Standing, now: Time) -> Decision {
    let (come, older) = come(cron, standing.next_at, now);
    let mut running = standing.running;
    let mut slots = Vec::new();
    let mut waiting = 0;
    for slot in &standing.queued {
        if running && overlap != Overlap::Allow {
            waiting += 1;
        } else {
            slots.push(SlotDecision { slot: *slot, verdict: Verdict::Start, was_queued: true });
            running = true;
        }
    }
    if let (Some(slot), Some(until)) = (older, come.first()) {
        slots.push(SlotDecision { slot, verdict: Verdict::MissUntil(*until), was_queued: false });
    }
    let latest = come.last().copied();
    for slot in come {
        let is_seen_to = match catch_up {
            CatchUp::All => true,
            CatchUp::Latest => now.since(slot) <= GRACE || Some(slot) == latest,
            CatchUp::None => now.since(slot) <= GRACE,
        };
        let verdict = match overlap {
            _ if !is_seen_to => Verdict::Miss,
            Overlap::Skip if running => Verdict::Skip,
            Overlap::Queue if running && waiting >= QUEUED_AT_MOST => Verdict::Full,
            Overlap::Queue if running => Verdict::Queue,
            _ => Verdict::Start,
        };
        running |= verdict == Verdict::Start;
        waiting += usize::from(verdict == Verdict::Queue);
        slots.push(SlotDecision { slot, verdict, was_queued: false });
    }
    let decided_up_to = if standing.next_at.is_some() { cron.after(now) } else { None };
    Decision { slots, next_at: standing.next_at.filter(|next| *next > now).or(decided_up_to) }
}

/// The slots from `next_at` to `now`, the newest of them if there are many; and the first one where that leaves some out.
fn come(cron: &Cron, next_at: Option<Time>, now: Time) -> (Vec<Time>, Option<Time>) {
    let Some(first) = next_at.filter(|first| *first <= now) else { return (Vec::new(), None) };
    // Backwards, so that a year of missed minutes costs no more than a thousand of them.
    let before = |slot: &Time| cron.at_or_before(slot.earlier(Duration::from_secs(1)));
    let all = std::iter::successors(cron.at_or_before(now), before).take_while(|slot| *slot > first);
    let mut newest: Vec<Time> = all.take(LATE_AT_MOST).collect();
    let is_cut = newest.len() == LATE_AT_MOST;
    if !is_cut {
        // `next_at` itself, whatever the expression says by now of that moment: it was promised.
        newest.push(first);
    }
    newest.reverse();
    (newest, is_cut.then_some(first))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Time {
        format!("2026-01-01T{text}Z").parse().expect("a time")
    }

    fn hourly() -> Cron {
        Cron::parse("0 * * * *", "UTC").expect("a cron")
    }

    fn standing(next_at: &str) -> Standing {
        Standing { next_at: Some(at(next_at)), running: false, queued: Vec::new() }
    }

    /// `09:00 Start, …`, and the next.
    fn describe(decision: &Decision) -> String {
        let slots = decision.slots.iter().map(|slot| format!("{} {:?}", slot.slot.format("%H:%M"), slot.verdict));
        let next = decision.next_at.map_or("none".to_owned(), |next| next.format("%H:%M").to_string());
        format!("{}; next {next}", slots.collect::<Vec<_>>().join(", "))
    }

    fn decided(overlap: Overlap, catch_up: CatchUp, standing: &Standing, now: &str) -> String {
        describe(&decide(&hourly(), overlap, catch_up, standing, at(now)))
    }

    #[test]
    fn a_due_slot_starts_and_a_later_one_waits() {
        for (now, then) in [
            ("08:59:59", "; next 09:00"),
            ("09:00:00", "09:00 Start; next 10:00"),
            ("09:01:00", "09:00 Start; next 10:00"),
        ] {
            assert_eq!(decided(Overlap::Skip, CatchUp::None, &standing("09:00:00"), now), then);
        }
        let none = Standing { next_at: None, running: false, queued: Vec::new() };
        assert_eq!(decided(Overlap::Skip, CatchUp::All, &none, "09:00:00"), "; next none");
    }

    #[test]
    fn overlapping_slots_are_skipped_queued_or_allowed() {
        let busy = Standing { running: true, ..standing("09:00:00") };
        let then = |overlap| decided(overlap, CatchUp::None, &busy, "09:00:01");
        assert_eq!(then(Overlap::Skip), "09:00 Skip; next 10:00");
        assert_eq!(then(Overlap::Queue), "09:00 Queue; next 10:00");
        assert_eq!(then(Overlap::Allow), "09:00 Start; next 10:00");
    }

    #[test]
    fn queued_slots_start_one_at_a_time_oldest_first() {
        let queued = vec![at("07:00:00"), at("08:00:00")];
        let free = Standing { queued: queued.clone(), ..standing("09:00:00") };
        assert_eq!(decided(Overlap::Queue, CatchUp::None, &free, "08:30:00"), "07:00 Start; next 09:00");
        let then = "07:00 Start, 09:00 Queue; next 10:00";
        assert_eq!(decided(Overlap::Queue, CatchUp::None, &free, "09:00:00"), then, "it waits behind the others");
        let busy = Standing { running: true, queued, ..standing("09:00:00") };
        assert_eq!(decided(Overlap::Queue, CatchUp::None, &busy, "08:30:00"), "; next 09:00");
        let then = "07:00 Start, 08:00 Start; next 09:00";
        assert_eq!(decided(Overlap::Allow, CatchUp::None, &busy, "08:30:00"), then, "the policy was changed");
    }

    #[test]
    fn no_more_than_a_hundred_are_queued() {
        let queued = vec![at("00:00:00"); QUEUED_AT_MOST];
        let busy = Standing { running: true, queued, ..standing("09:00:00") };
        assert_eq!(decided(Overlap::Queue, CatchUp::All, &busy, "09:00:00"), "09:00 Full; next 10:00");
    }

    #[test]
    fn catch_up_takes_none_the_latest_or_all() {
        let then = |overlap, catch_up, now| decided(overlap, catch_up, &standing("07:00:00"), now);
        let allow = Overlap::Allow;
        assert_eq!(then(allow, CatchUp::None, "09:30:00"), "07:00 Miss, 08:00 Miss, 09:00 Miss; next 10:00");
        assert_eq!(then(allow, CatchUp::Latest, "09:30:00"), "07:00 Miss, 08:00 Miss, 09:00 Start; next 10:00");
        assert_eq!(then(allow, CatchUp::All, "09:30:00"), "07:00 Start, 08:00 Start, 09:00 Start; next 10:00");
        assert_eq!(then(Overlap::Queue, CatchUp::All, "09:30:00"), "07:00 Start, 08:00 Queue, 09:00 Queue; next 10:00");
        assert_eq!(then(Overlap::Skip, CatchUp::All, "09:30:00"), "07:00 Start, 08:00 Skip, 09:00 Skip; next 10:00");
        // One that is in time makes up for those before it.
        assert_eq!(then(allow, CatchUp::Latest, "09:00:30"), "07:00 Miss, 08:00 Miss, 09:00 Start; next 10:00");
        assert_eq!(then(allow, CatchUp::None, "09:00:30"), "07:00 Miss, 08:00 Miss, 09:00 Start; next 10:00");
    }

    #[test]
    fn a_slot_is_in_time_for_a_minute() {
        let then = |now| decided(Overlap::Skip, CatchUp::None, &standing("09:00:00"), now);
        assert_eq!(then("09:01:00"), "09:00 Start; next 10:00");
        assert_eq!(then("09:01:01"), "09:00 Miss; next 10:00");
    }

    #[test]
    fn of_missed_slots_the_last_thousand_are_decided() {
        let cron = Cron::parse("* * * * *", "UTC").expect("a cron");
        let first: Time = "2025-01-01T00:00:00Z".parse().expect("a time");
        let standing = Standing { next_at: Some(first), running: false, queued: Vec::new() };
        let decision = decide(&cron, Overlap::Allow, CatchUp::All, &standing, at("00:00:30"));
        assert_eq!(decision.slots.len(), LATE_AT_MOST + 1);
        let oldest = at("00:00:00") - TimeDelta::minutes(999);
        assert_eq!(decision.slots[0].slot, first);
        assert_eq!(decision.slots[0].verdict, Verdict::MissUntil(oldest));
        assert_eq!(decision.slots[1].slot, oldest);
        assert!(decision.slots[1..].iter().all(|slot| slot.verdict == Verdict::Start));
        assert_eq!(decision.next_at, Some(at("00:01:00")));
    }

    #[test]
    fn a_promised_slot_survives_a_changed_expression() {
        let quarterly = Cron::parse("*/15 * * * *", "UTC").expect("a cron");
        let standing = Standing { next_at: Some(at("09:05:00")), running: false, queued: Vec::new() };
        let decision = decide(&quarterly, Overlap::Allow, CatchUp::All, &standing, at("09:16:00"));
        assert_eq!(describe(&decision), "09:05 Start, 09:15 Start; next 09:30");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_slot_between_two_moments_is_decided_once(
            looks in prop::collection::vec((1_i64..10_000, any::<bool>()), 1..12),
            overlap in prop::sample::select(Overlap::ALL.to_vec()),
            catch_up in prop::sample::select(CatchUp::ALL.to_vec()),
            cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "*/20 * * * *", "15 1,2,3 * * *"]),
        ) {
            let cron = Cron::parse(cron, "Europe/Berlin").expect("a cron");
            // Over the end of summer time.
            let start: Time = "2026-10-24T20:00:00Z".parse().expect("a time");
            let mut standing = Standing { next_at: cron.after(start), running: false, queued: Vec::new() };
            let (mut now, mut seen) = (start, Vec::new());
            for (seconds, ends) in looks {
                now += TimeDelta::seconds(seconds);
                standing.running &= !ends;
                let decision = decide(&cron, overlap, catch_up, &standing, now);
                for decided in &decision.slots {
                    match decided.verdict {
                        Verdict::Start => {
                            prop_assert!(overlap == Overlap::Allow || !standing.running, "two at a time");
                            standing.running = true;
                        }
                        Verdict::Queue => standing.queued.push(decided.slot),
                        _ => {}
                    }
                    if decided.was_queued {
                        prop_assert_eq!(standing.queued.remove(0), decided.slot);
                    } else {
                        seen.push(decided.slot);
                    }
                }
                standing.next_at = decision.next_at;
                prop_assert!(decision.next_at.is_some_and(|next| next > now));
            }
            let all: Vec<Time> = std::iter::successors(cron.after(start), |slot| cron.after(*slot))
                .take_while(|slot| *slot <= now).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
