//! A step's time as stretches: each attempt with its outcome, the waits between attempts, the attempt under way, and the
//! wait to come. Pure: waterfall.rs draws them.

use chrono::TimeDelta;

use crate::engine::{Outcome, PastAttempt, RunStep, Time};

use super::axis::{Span, length};

/// The times in a log are its worker's, those of a row are the database's: this much they may differ.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// What a bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An attempt that ended so: `ok failed unknown skipped`.
    Ended(&'static str),
    /// An attempt that is under way.
    Open,
    /// Waiting: for a timer, a signal, another attempt; earlier attempts.
    Wait,
    /// A wait that is still to come.
    Future,
    /// The pivot.
    Pivot,
}

/// One stretch of a step, in time.
pub(super) struct Stretch {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) kind: Kind,
    /// In words.
    pub(super) title: String,
}

impl Stretch {
    pub(super) fn span(&self) -> Span {
        let works = matches!(self.kind, Kind::Ended(_) | Kind::Open);
        Span { from: self.from, to: self.to, works }
    }
}

/// The times that a picture needs beside those of its steps.
pub(super) struct Clock {
    /// When the run was created.
    pub(super) begun: Time,
    /// Now.
    pub(super) now: Time,
    /// The run has not ended.
    pub(super) open: bool,
}

impl Clock {
    /// The stretches of a step among all those of its run, in their order.
    pub(super) fn stretches(&self, step: &RunStep, all: &[RunStep]) -> Vec<Stretch> {
        let issued_at = self.issued_at(step, all);
        let until = step.finished_at.unwrap_or(self.now).max(issued_at);
        if step.kind != "activity" {
            return self.wait(step, issued_at, until);
        }
        let mut found = tried(step, issued_at);
        let (cursor, before) = match (found.last(), step.attempt_log.last()) {
            (Some(last), Some(past)) => (last.to, past.attempt),
            _ => (issued_at, 0),
        };
        let until = until.max(cursor);
        let untold = step.started_at.filter(|_| step.attempts > 0 && !is_told(step));
        if let Some(begun) = untold.map(|at| at.clamp(cursor, until)) {
            found.extend(gap(step, cursor, begun, before, step.attempts));
            found.push(last(step, begun, until));
        } else if let Some(outcome) = &step.outcome {
            found.extend(not_by_an_attempt(step, outcome.word(), found.is_empty(), cursor, until));
        }
        if let Some(next) = step.next_attempt_at.filter(|_| self.open && step.outcome.is_none()) {
            let title = format!("{}: waits for attempt {}", step.name, step.attempts + 1);
            let since = found.last().map_or(cursor, |last| last.to);
            found.push(waiting(title.clone(), since, self.now.max(since)));
            if next > self.now {
                found.push(Stretch { from: self.now, to: next, kind: Kind::Future, title });
            }
        }
        found
    }

    /// A timer, a signal, a side value, the pivot.
    fn wait(&self, step: &RunStep, issued_at: Time, until: Time) -> Vec<Stretch> {
        match step.kind.word() {
            "pivot" => vec![stretch(until, until, Kind::Pivot, step)],
            "side" => vec![stretch(until, until, Kind::Ended("ok"), step)],
            _ => {
                let mut found = vec![stretch(issued_at, until, Kind::Wait, step)];
                if let Some(due) = step.due_at.filter(|due| self.open && step.outcome.is_none() && *due > self.now) {
                    found.push(stretch(self.now, due, Kind::Future, step));
                }
                found
            }
        }
    }

    /// When a step was asked for, as well as it is known: when the last of those before it was done.
    fn issued_at(&self, step: &RunStep, all: &[RunStep]) -> Time {
        let undo = step.direction == "undo";
        let logged = step.attempt_log.first().and_then(|past| past.started_at);
        let begun = logged.or(step.started_at).filter(|_| !undo);
        let limit = begun.or(step.finished_at).unwrap_or(self.now);
        let before = |other: &&RunStep| {
            let earlier = if other.direction == step.direction {
                if undo { step.undo_after.contains(&other.seq) } else { other.seq < step.seq }
            } else {
                undo
            };
            earlier && other.finished_at.is_some_and(|at| at <= limit)
        };
        all.iter().filter(before).filter_map(|other| other.finished_at).max().unwrap_or(self.begun).max(self.begun)
    }
}

/// What the log has, with the waits between.
fn tried(step: &RunStep, issued_at: Time) -> Vec<Stretch> {
    let (mut found, mut cursor, mut before) = (Vec::new(), issued_at, 0);
    for past in &step.attempt_log {
        let from = past.started_at.unwrap_or(cursor).max(cursor);
        let to = past.ended_at.max(from);
        found.extend(gap(step, cursor, from, before, past.attempt));
        found.push(Stretch { from, to, kind: Kind::Ended(past.outcome.word()), title: of_past(step, past, from, to) });
        (cursor, before) = (to, past.attempt);
    }
    found
}

/// Whether the attempt that the row tells of is the last one of the log.
fn is_told(step: &RunStep) -> bool {
    let last = step.attempt_log.last().filter(|past| past.attempt == step.attempts);
    last.is_some_and(|past| step.started_at.is_none_or(|at| at < past.ended_at + SLACK))
}

/// The attempt that the row tells of, and that is not in the log.
fn last(step: &RunStep, begun: Time, until: Time) -> Stretch {
    match (step.outcome.map(Outcome::word), step.next_attempt_at) {
        (Some(outcome), _) => stretch(begun, until, Kind::Ended(outcome), step),
        (None, None) => stretch(begun, until, Kind::Open, step),
        (None, Some(_)) => {
            let tried = if step.error.as_ref().is_some_and(|error| error.unknown) { "unknown" } else { "failed" };
            stretch(begun, begun, Kind::Ended(tried), step)
        }
    }
}

/// How a step ended that no attempt ended: its last one failed and that was that, an operator has seen to it since, or it was
/// passed over.
fn not_by_an_attempt(step: &RunStep, word: &'static str, untried: bool, cursor: Time, until: Time) -> Vec<Stretch> {
    let end = stretch(until, until, Kind::Ended(word), step);
    match until - cursor > SLACK {
        _ if untried => vec![end],
        true => vec![waiting(format!("{}: stood for {}", step.name, length(cursor, until)), cursor, until), end],
        false => Vec::new(),
    }
}

/// The time before an attempt, where there was one before it.
fn gap(step: &RunStep, from: Time, to: Time, before: u32, attempt: u32) -> Option<Stretch> {
    if (before == 0 && attempt == 1) || to <= from {
        return None;
    }
    let title = match attempt.saturating_sub(before + 1) {
        0 => format!("{}: waited {} for attempt {attempt}", step.name, length(from, to)),
        n => format!("{}: {n} attempts that have no entry, and the waits between, {}", step.name, length(from, to)),
    };
    Some(waiting(title, from, to))
}

fn waiting(title: String, from: Time, to: Time) -> Stretch {
    Stretch { from, to, kind: Kind::Wait, title }
}

fn of_past(step: &RunStep, past: &PastAttempt, from: Time, to: Time) -> String {
    let undo = if step.direction == "undo" { "undo of " } else { "" };
    let what = if past.verification { "verification" } else { "attempt" };
    let error = past.error.as_ref().map(|error| format!(": {}: {}", error.code, error.message)).unwrap_or_default();
    format!("{undo}{}: {what} {} {}, {}{error}", step.name, past.attempt, came(past), length(from, to))
}

/// What became of an attempt, or what a verification found.
pub(super) fn came(past: &PastAttempt) -> &'static str {
    match (past.verification, past.outcome) {
        (true, Outcome::Failed) => "found that it never took effect",
        (true, _) => "could not tell",
        (false, outcome) => outcome.word(),
    }
}

fn stretch(from: Time, to: Time, kind: Kind, step: &RunStep) -> Stretch {
    let what = if step.direction == "undo" { "undo of " } else { "" };
    let outcome = step.outcome.map(Outcome::word).unwrap_or("open");
    let tries = if step.attempts > 1 { format!(", attempt {}", step.attempts) } else { String::new() };
    let title = format!("{what}{}: {outcome}{tries}, {}", step.name, length(from, to));
    Stretch { from, to: to.max(from), kind, title }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StepError;

    fn at(ms: i64) -> Time {
        Time::from_timestamp_millis(1_700_000_000_000 + ms).expect("a time")
    }

    fn past(attempt: u32, from: i64, to: i64, outcome: Outcome) -> PastAttempt {
        let error = StepError { code: "gateway_down".into(), message: "503".into(), unknown: false };
        let (started_at, ended_at) = (Some(at(from)), at(to));
        PastAttempt { attempt, verification: false, outcome, started_at, ended_at, error: Some(error) }
    }

    fn step(attempts: u32, from: i64, to: Option<i64>, outcome: Option<&str>, log: Vec<PastAttempt>) -> RunStep {
        RunStep {
            seq: 0,
            name: "charge".into(),
            kind: "activity".parse().expect("a kind"),
            activity: None,
            direction: "forward".parse().expect("a direction"),
            outcome: outcome.map(|word| word.parse().expect("an outcome")),
            attempts,
            idempotency_key: None,
            input: None,
            output: None,
            error: None,
            attempt_log: log,
            started_at: Some(at(from)),
            finished_at: to.map(at),
            next_attempt_at: None,
            due_at: None,
            undo_after: Vec::new(),
            worker: None,
        }
    }

    /// Each stretch in milliseconds, with what it was.
    fn of(step: &RunStep, now: i64) -> Vec<(i64, i64, Kind)> {
        let clock = Clock { begun: at(0), now: at(now), open: true };
        let found = clock.stretches(step, std::slice::from_ref(step));
        let ms = |time: Time| (time - at(0)).num_milliseconds();
        found.iter().map(|one| (ms(one.from), ms(one.to), one.kind)).collect()
    }

    #[test]
    fn attempts_and_waits_have_stretches() {
        let log = vec![past(1, 0, 100, Outcome::Failed), past(2, 1_100, 1_300, Outcome::Unknown)];
        let step = step(3, 3_300, Some(3_400), Some("ok"), log);
        let expected = [
            (0, 100, Kind::Ended("failed")),
            (100, 1_100, Kind::Wait),
            (1_100, 1_300, Kind::Ended("unknown")),
            (1_300, 3_300, Kind::Wait),
            (3_300, 3_400, Kind::Ended("ok")),
        ];
        assert_eq!(of(&step, 9_000), expected);
    }

    #[test]
    fn the_last_attempt_is_drawn_once() {
        let failed = step(1, 3, Some(103), Some("failed"), vec![past(1, 0, 100, Outcome::Failed)]);
        assert_eq!(of(&failed, 9_000), [(0, 100, Kind::Ended("failed"))]);
    }

    #[test]
    fn an_operators_outcome_comes_after_the_attempts() {
        let skipped = step(1, 3, Some(60_000), Some("skipped"), vec![past(1, 0, 100, Outcome::Failed)]);
        let expected =
            [(0, 100, Kind::Ended("failed")), (100, 60_000, Kind::Wait), (60_000, 60_000, Kind::Ended("skipped"))];
        assert_eq!(of(&skipped, 90_000), expected);
        // Counted anew after a retry.
        let again = step(1, 60_000, None, None, vec![past(1, 0, 100, Outcome::Failed)]);
        let expected = [(0, 100, Kind::Ended("failed")), (100, 60_000, Kind::Wait), (60_000, 61_000, Kind::Open)];
        assert_eq!(of(&again, 61_000), expected);
    }

    #[test]
    fn a_lost_attempt_lasts_until_it_was_found() {
        let lost = PastAttempt { started_at: None, ..past(1, 0, 5_000, Outcome::Unknown) };
        let mut open = step(1, 0, None, None, vec![lost]);
        open.next_attempt_at = Some(at(7_000));
        let expected = [(0, 5_000, Kind::Ended("unknown")), (5_000, 6_000, Kind::Wait), (6_000, 7_000, Kind::Future)];
        assert_eq!(of(&open, 6_000), expected);
    }

    #[test]
    fn attempts_without_an_entry_are_described() {
        let log = vec![past(1, 0, 100, Outcome::Failed), past(8, 9_000, 9_100, Outcome::Failed)];
        let step = step(8, 9_000, Some(9_100), Some("failed"), log);
        let clock = Clock { begun: at(0), now: at(10_000), open: false };
        let found = clock.stretches(&step, std::slice::from_ref(&step));
        assert!(found[1].title.starts_with("charge: 6 attempts that have no entry"), "{}", found[1].title);
        assert_eq!(found[2].title, "charge: attempt 8 failed, 100 ms: gateway_down: 503");
    }
}
