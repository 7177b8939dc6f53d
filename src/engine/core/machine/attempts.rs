//! Attempts: starting them, their three outcomes, retries, and the verification of unknown ones.
//!
//! | an attempt ends | the activity can be verified | then |
//! |---|---|---|
//! | ok | | the step is `ok` |
//! | failed, worth a retry | | again after a wait, under the same key; at last `failed` |
//! | failed for good | | `failed` |
//! | unknown | yes | ask first: it happened (`ok`), it never will (a retry under a new key), nobody can tell (ask again; at last `unknown`) |
//! | unknown | no | again after a wait, under the same key; at last `unknown` |
//!
//! Verifications count as attempts, so that asking in vain ends.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use chrono::SubsecRound;

use super::{Ending, Key, Machine, Phase, log, undoing::is_done};
use crate::engine::core::{
    attention::{AttentionKind, RETRYING_AFTER},
    catalog::ActivityMeta,
    decision::{Attempt, AttemptError, Decision, FollowUp, Verification, Writes},
    holds::aside,
    model::{Direction, Failure, Json, Outcome, Step, StepError, Time, idempotency_key, to_json},
    policy::Retry,
    redact::secret_values,
    time::Moment,
};

impl Machine {
    /// Begins the next attempt of a step, or a verification where the last one is unknown.
    pub(super) fn start(&mut self, key: Key, now: Time) {
        let Some(step) = self.steps.get(&key) else { return };
        let Some(meta) = self.meta(&step.name).cloned() else {
            let message = format!("no activity {} is registered", step.name);
            if key.1 == Direction::Undo {
                // The others go on; what is left makes the run stuck in the end.
                let error = StepError { code: "unknown_activity".to_owned(), message, unknown: false };
                return self.end(key, Outcome::Failed, None, Some(error));
            }
            return self.get_stuck(Failure::new("unknown_activity", message).at(key.0));
        };
        let queue = meta.queue.map_or_else(|| self.queue.clone(), Into::into);
        if self.serves.holds(&step.name) {
            // Steps for another queue go first.
            self.elsewhere.get_or_insert_with(|| aside(&step.name).into());
            return;
        }
        if !self.serves.serves(&queue) {
            self.elsewhere = Some(queue);
            return;
        }
        let verify = meta.verifiable && self.unknown_forward(key);
        let retry = self.retry_of(key, &meta);
        let Some(step) = self.steps.get_mut(&key) else { return };
        if step.due.is_some_and(|due| due.estimate() <= now) {
            // Its time is over. Begun without any, it would end unknown, and might have had an effect.
            return self.run_out(key.0);
        }
        if step.attempts >= retry.max_attempts && step.error.is_some() {
            // Only a takeover gets here: the last attempt was under way when its worker was lost.
            return if verify { self.verify(key, &meta, now) } else { self.give_up(key) };
        }
        if verify {
            return self.verify(key, &meta, now);
        }
        step.attempts += 1;
        step.took = Duration::ZERO;
        step.next_attempt_at = None;
        if meta.needs_intent(key.1) || step.due.is_some() {
            self.dirty.insert(key);
        }
        if let Some(attempt) = self.attempt(key, key.1, &meta, now) {
            self.in_flight.insert(key);
            self.out.follow_ups.push(FollowUp::Attempt(attempt));
        }
    }

    fn verify(&mut self, key: Key, meta: &ActivityMeta, now: Time) {
        let Some(step) = self.steps.get_mut(&key) else { return };
        step.attempts += 1;
        if let Some(attempt) = self.attempt(key, Direction::Forward, meta, now) {
            self.in_flight.insert(key);
            self.out.follow_ups.push(FollowUp::Verify(attempt));
        }
    }

    /// Whether the forward step behind `key` may or may not have had an effect, and verification has not been given up.
    fn unknown_forward(&self, key: Key) -> bool {
        let Some(forward) = self.steps.get(&(key.0, Direction::Forward)) else { return false };
        match key.1 {
            Direction::Forward => forward.error.as_ref().is_some_and(|error| error.unknown),
            Direction::Undo => {
                forward.outcome == Some(Outcome::Unknown)
                    && forward.error.as_ref().is_none_or(|error| error.code != GAVE_UP_ASKING)
            }
        }
    }

    /// `keyed`: the direction whose idempotency key it carries. A verification always carries the forward attempt's.
    fn attempt(&self, key: Key, keyed: Direction, meta: &ActivityMeta, now: Time) -> Option<Attempt> {
        let step = self.steps.get(&key)?;
        let forward = self.steps.get(&(key.0, Direction::Forward))?;
        let left = step.due.map(|due| due.estimate().since(now));
        let own = meta.policy.attempt_timeout;
        let most = step.policy.as_ref().map_or(own, |policy| policy.attempt_timeout(own));
        let timeout = left.map_or(most, |left| left.min(most));
        // An input that is JSON's null comes back from an intent's row as none; a step without input has nothing else.
        let input = step.input.clone().or_else(|| forward.input.clone()).or_else(|| to_json(&()).ok())?;
        Some(Attempt {
            seq: key.0,
            direction: key.1,
            activity: step.name.clone(),
            input,
            output: forward.output.clone(),
            attempt: step.attempts,
            key: idempotency_key(self.run, key.0, keyed, self.steps.get(&(key.0, keyed))?.generation),
            details: step.details.clone(),
            timeout,
            transactional: meta.is_in_transaction(key.1),
            only_reads: meta.only_reads(key.1),
        })
    }

    /// The writes that withdraw follow-ups which were not begun after their commit: see [`Decision::withdraw_attempts`].
    pub fn withdraw_follow_ups(&self, follow_ups: Vec<FollowUp>, now: Time) -> Writes {
        let begun = follow_ups.iter().filter_map(|follow_up| match follow_up {
            FollowUp::Attempt(attempt) => self.steps.get(&(attempt.seq, attempt.direction)),
            _ => None,
        });
        let steps = begun.filter(|step| step.recorded).cloned().collect();
        let mut decision = Decision { writes: Writes { steps, ..Writes::default() }, follow_ups, wake_at: None };
        decision.withdraw_attempts(now);
        decision.writes
    }

    /// What an attempt was given that is never shown: in its input, or in the run's.
    pub fn secret_values(&self, seq: u32, fields: &[String]) -> Vec<String> {
        let own = self.steps.get(&(seq, Direction::Forward)).and_then(|step| step.input.as_ref());
        own.into_iter().chain([&self.input]).flat_map(|json| secret_values(json, fields)).collect()
    }

    /// Keeps the last heartbeat of an attempt that has just ended, for the next one.
    pub fn note(&mut self, seq: u32, direction: Direction, details: Json) {
        if let Some(step) = self.steps.get_mut(&(seq, direction)) {
            step.details = Some(details);
        }
    }

    pub(super) fn beat(&mut self, key: Key, details: Option<Json>) {
        if let Some(step) = self.steps.get_mut(&key).filter(|step| step.outcome.is_none()) {
            step.details = details.or_else(|| step.details.take());
            self.dirty.insert(key);
        }
    }

    pub(super) fn attempted(
        &mut self,
        key: Key,
        result: Result<Option<Json>, AttemptError>,
        took: Duration,
        now: Time,
    ) {
        self.in_flight.remove(&key);
        let Some(step) = self.steps.get_mut(&key) else { return };
        step.took = took;
        let failed = match result {
            Ok(output) => return self.end(key, Outcome::Ok, output, None),
            Err(failed) => failed,
        };
        log::failed(step, &failed.error, now);
        let Some(meta) = self.meta(&step_name(&self.steps, key)).cloned() else { return };
        // An attempt that had no effect says nothing about an earlier one that is unknown.
        let still_unknown = key.1 == Direction::Forward && self.unknown_forward(key) && !meta.is_certain(key.1);
        let error = StepError { unknown: failed.error.unknown || still_unknown, ..failed.error };
        let failed = AttemptError { error, ..failed };
        let never = meta.policy.non_retryable.contains(&failed.error.code.as_str());
        let may_retry = failed.retryable && !never && self.may_retry(key, &meta, now);
        let ask_first = failed.error.unknown && meta.verifiable && key.1 == Direction::Forward;
        if may_retry || (ask_first && self.may_retry(key, &meta, now)) {
            self.wait_for_next(key, failed.error, &meta, now);
        } else {
            let outcome = if failed.error.unknown { Outcome::Unknown } else { Outcome::Failed };
            self.end(key, outcome, None, Some(failed.error));
        }
    }

    pub(super) fn verified(&mut self, key: Key, found: Verification, took: Duration, now: Time) {
        self.in_flight.remove(&key);
        if let Some(step) = self.steps.get_mut(&key) {
            step.took = took;
            log::verified(step, &found, now);
        }
        let Some(meta) = self.meta(&step_name(&self.steps, key)).cloned() else { return };
        match (found, key.1) {
            (Verification::Happened(output), Direction::Forward) => self.end(key, Outcome::Ok, Some(output), None),
            (Verification::Happened(output), Direction::Undo) => {
                self.resolve_forward(key.0, Outcome::Ok, Some(output), None)
            }
            (Verification::NeverWill, Direction::Forward) => self.never_will(key, &meta, now),
            (Verification::NeverWill, Direction::Undo) => {
                let error = self.steps.get(&(key.0, Direction::Forward)).and_then(|step| step.error.clone());
                let error = error.map(|error| StepError { unknown: false, ..error });
                self.resolve_forward(key.0, Outcome::Failed, None, error);
                self.end(key, Outcome::Skipped, None, None);
            }
            (Verification::NotYet(error), direction) => {
                let error = StepError { unknown: true, ..error };
                if self.may_retry(key, &meta, now) {
                    self.wait_for_next(key, error, &meta, now);
                } else if direction == Direction::Forward {
                    self.end(key, Outcome::Unknown, None, Some(error));
                } else {
                    self.stop_asking(key.0, &error);
                }
            }
        }
    }

    /// The key is burnt: a retry gets the next generation.
    fn never_will(&mut self, key: Key, meta: &ActivityMeta, now: Time) {
        let retry = self.may_retry(key, meta, now);
        let Some(step) = self.steps.get_mut(&key) else { return };
        step.generation += 1;
        let error = step.error.take().map(|error| StepError { unknown: false, ..error });
        if retry {
            step.error = error;
            step.next_attempt_at = Some(now);
            self.dirty.insert(key);
        } else {
            self.end(key, Outcome::Failed, None, error);
        }
    }

    /// The rules of a step's retries: its activity's, or those that came with an operator's retry.
    fn retry_of(&self, key: Key, meta: &ActivityMeta) -> Retry {
        let own = match key.1 {
            Direction::Forward => meta.policy.retry,
            Direction::Undo => meta.policy.undo_retry,
        };
        let other = self.steps.get(&key).and_then(|step| step.policy.as_ref());
        other.map_or(own, |policy| policy.retry(own))
    }

    /// Whether attempts and time are left, and the outcome still matters.
    fn may_retry(&self, key: Key, meta: &ActivityMeta, now: Time) -> bool {
        let Some(step) = self.steps.get(&key) else { return false };
        let wanted = match key.1 {
            // A run that gets stuck or is paused goes on where it was, once an operator has seen to it.
            Direction::Forward => match &self.phase {
                Phase::Forward | Phase::Settling(Ending::Stuck(_) | Ending::Paused) => true,
                Phase::Settling(Ending::Returned(Err(_))) => self.pivoted,
                Phase::Settling(_) | Phase::Undoing | Phase::Released => false,
            },
            Direction::Undo => true,
        };
        let in_time = step.due.is_none_or(|due| due.estimate() > now);
        wanted && in_time && step.attempts < self.retry_of(key, meta).max_attempts
    }

    fn wait_for_next(&mut self, key: Key, error: StepError, meta: &ActivityMeta, now: Time) {
        let jitter = self.jitter(key);
        let retry = self.retry_of(key, meta);
        let Some(step) = self.steps.get_mut(&key) else { return };
        let another = step.error.as_ref().is_none_or(|last| last.code != error.code);
        let retrying = step.attempts == RETRYING_AFTER || (step.attempts > RETRYING_AFTER && another);
        let failure = Failure::new(error.code.clone(), error.message.clone()).at(key.0);
        step.error = Some(error);
        // As the database keeps it, so that the step, the run and its timer all name the same moment.
        step.next_attempt_at = Some(now.later(retry.wait(step.attempts, jitter)).trunc_subsecs(6));
        self.dirty.insert(key);
        if retrying {
            self.attend(Some(key.0), AttentionKind::Retrying, failure);
        }
    }

    /// The call's deadline passed while it waited for its next attempt.
    pub(super) fn run_out(&mut self, seq: u32) {
        let Some(step) = self.steps.get(&(seq, Direction::Forward)) else { return };
        let unknown = step.error.as_ref().is_some_and(|error| error.unknown);
        let last =
            step.error.as_ref().map_or(String::new(), |error| format!("; last: {}: {}", error.code, error.message));
        let error = StepError {
            code: "deadline_exceeded".to_owned(),
            message: format!("the call's deadline passed{last}"),
            unknown,
        };
        let outcome = if unknown { Outcome::Unknown } else { Outcome::Failed };
        self.complete_step(seq, outcome, None, Some(error));
    }

    fn give_up(&mut self, key: Key) {
        let error = self.steps.get(&key).and_then(|step| step.error.clone());
        let unknown = error.as_ref().is_some_and(|error| error.unknown);
        self.end(key, if unknown { Outcome::Unknown } else { Outcome::Failed }, None, error);
    }

    fn end(&mut self, key: Key, outcome: Outcome, output: Option<Json>, error: Option<StepError>) {
        match key.1 {
            Direction::Forward => self.complete_step(key.0, outcome, output, error),
            Direction::Undo => {
                let Some(step) = self.steps.get_mut(&key) else { return };
                step.outcome = Some(outcome);
                step.error = error;
                step.next_attempt_at = None;
                let attempts = step.attempts;
                self.open.file(&self.steps, key);
                self.dirty.insert(key);
                let forward = self.steps.get(&(key.0, Direction::Forward)).and_then(|step| step.outcome);
                if attempts >= RETRYING_AFTER || (forward == Some(Outcome::Unknown) && is_done(outcome)) {
                    self.out.writes.settled.push(key.0);
                }
            }
        }
    }

    /// Records what the verification before an undo found out about the step itself.
    fn resolve_forward(&mut self, seq: u32, outcome: Outcome, output: Option<Json>, error: Option<StepError>) {
        let key = (seq, Direction::Forward);
        if let Some(step) = self.steps.get_mut(&key) {
            step.outcome = Some(outcome);
            step.output = output;
            step.error = error;
            self.dirty.insert(key);
            self.out.writes.settled.push(seq);
        }
        self.undo_afresh(seq);
    }

    /// It stays unknown, so it is undone: an undo must be safe to call even if the step never happened.
    fn stop_asking(&mut self, seq: u32, last: &StepError) {
        if let Some(step) = self.steps.get_mut(&(seq, Direction::Forward)) {
            let message = format!("nobody could tell, also not before its undo; last: {}: {}", last.code, last.message);
            step.error = Some(StepError { code: GAVE_UP_ASKING.to_owned(), message, unknown: true });
            self.dirty.insert((seq, Direction::Forward));
        }
        self.undo_afresh(seq);
    }

    fn undo_afresh(&mut self, seq: u32) {
        if let Some(undo) = self.steps.get_mut(&(seq, Direction::Undo)) {
            undo.error = None;
            undo.attempts = 0;
            undo.next_attempt_at = None;
            self.dirty.insert((seq, Direction::Undo));
        }
    }

    /// The same for the same attempt of the same step, so that the core stays a function of its facts.
    fn jitter(&self, key: Key) -> f64 {
        let mut hasher = DefaultHasher::new();
        (self.run, key, self.steps.get(&key).map(|step| step.attempts)).hash(&mut hasher);
        (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// On the step itself, so that it outlasts whatever its undo meets.
const GAVE_UP_ASKING: &str = "still_unknown";

fn step_name(steps: &std::collections::BTreeMap<Key, Step>, key: Key) -> std::sync::Arc<str> {
    steps.get(&key).map_or_else(|| "".into(), |step| step.name.clone())
}
