//! Forward: replay, the function's commands, and the delivery of completions one at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ending, Key, Machine, Phase};
use crate::engine::core::{
    attention::{AttentionKind, RETRYING_AFTER},
    context::{CommandKind, Completion, SideValue, Until, WorkflowCommand},
    decision::FollowUp,
    execution::{Ended, Execution, Turn},
    model::{Direction, Due, Failure, Json, Outcome, Step, StepError, StepKind, Time},
    time::{LONGEST, Moment},
};

impl Machine {
    /// Polls the function through all recorded completions, in the order of their delivery.
    pub(super) fn replay(&mut self, now: Time) {
        let mut execution = match Execution::new(self.code.as_ref(), self.run, self.created_at, self.input.get()) {
            Ok(execution) => execution,
            Err(failure) => return self.get_stuck(failure),
        };
        let recorded: BTreeSet<Key> = self.steps.keys().copied().collect();
        let order: BTreeMap<u32, u32> = self.steps.values().filter_map(|s| Some((s.ord?, s.seq))).collect();
        let mut turn = execution.poll();
        self.execution = Some(execution);
        for (expected, (ord, seq)) in order.iter().enumerate() {
            if !self.apply_turn(turn, now) {
                return;
            }
            if expected as u32 != *ord || *seq >= self.next_seq || !matches!(self.phase, Phase::Forward) {
                return self.disagree(*seq);
            }
            turn = self.deliver(*seq);
        }
        if self.apply_turn(turn, now) {
            let beyond =
                self.steps.values().find(|step| step.seq >= self.next_seq && step.direction == Direction::Forward);
            if let Some(seq) = beyond.map(|step| step.seq) {
                self.disagree(seq);
            }
        }
        if self.takeovers > 0 {
            self.doubt_unrecorded(&recorded);
        }
    }

    /// A worker was lost since the last outcome. Steps whose attempts are not announced by a row may have been attempted by it:
    /// what a later attempt of theirs ends with does not make them certain.
    fn doubt_unrecorded(&mut self, recorded: &BTreeSet<Key>) {
        let catalog = self.catalog.clone();
        let is_plain = |step: &Step| {
            let meta = catalog.activity(&step.name);
            meta.is_some_and(|meta| !meta.is_certain(Direction::Forward) && !meta.undoable && !meta.verifiable)
        };
        let fresh = self.steps.iter_mut().filter(|(key, _)| !recorded.contains(key)).map(|(_, step)| step);
        for step in fresh.filter(|step| step.kind == StepKind::Activity && step.due.is_none() && is_plain(step)) {
            let message = "its worker was lost, perhaps during an attempt".to_owned();
            step.error = Some(StepError { code: "worker_lost".to_owned(), message, unknown: true });
        }
    }

    fn disagree(&mut self, seq: u32) {
        let recorded = self.steps.get(&(seq, Direction::Forward));
        let what = recorded.map_or_else(|| "nothing".to_owned(), |step| format!("{} {}", step.kind, step.name));
        let message = format!("step {seq} is on record as {what}, but the workflow did not ask for it there");
        self.get_stuck(Failure::new("nondeterminism", message).at(seq));
    }

    /// Delivers the completions that wait for it; each may bring more commands.
    pub(super) fn deliver_completions(&mut self, now: Time) {
        while matches!(self.phase, Phase::Forward) {
            let Some(seq) = self.undelivered.pop_front() else { return };
            if let Some(step) = self.steps.get_mut(&(seq, Direction::Forward)) {
                step.ord = Some(self.delivered);
                self.dirty.insert((seq, Direction::Forward));
            }
            let turn = self.deliver(seq);
            self.apply_turn(turn, now);
        }
    }

    fn deliver(&mut self, seq: u32) -> Turn {
        let completion = self.steps.get(&(seq, Direction::Forward)).and_then(|step| {
            Some(Completion { outcome: step.outcome?, output: step.output.clone(), error: step.error.clone() })
        });
        match (&mut self.execution, completion) {
            (Some(execution), Some(completion)) => {
                self.delivered += 1;
                execution.complete(seq, completion);
                execution.poll()
            }
            _ => Turn { commands: Vec::new(), ended: None },
        }
    }

    /// Applies a turn's commands. False: the run got stuck over one.
    fn apply_turn(&mut self, turn: Turn, now: Time) -> bool {
        for command in turn.commands {
            self.next_seq = self.next_seq.max(command.seq + 1);
            if let Err(failure) = self.apply_command(command, now) {
                self.get_stuck(failure);
                return false;
            }
        }
        match turn.ended {
            None => {}
            Some(Ended::Returned(result)) => self.phase = Phase::Settling(Ending::Returned(result)),
            Some(Ended::Panicked(message)) => {
                self.get_stuck(Failure::new("workflow_panicked", message));
                return false;
            }
        }
        if !matches!(self.phase, Phase::Forward) {
            self.execution = None;
        }
        true
    }

    fn apply_command(&mut self, command: WorkflowCommand, now: Time) -> Result<(), Failure> {
        let (kind, name, input) = describe_command(&command)?;
        if let CommandKind::Call { best_effort: true, .. } = command.kind {
            self.best_effort.insert(command.seq);
        }
        if let Some(recorded) = self.steps.get(&(command.seq, Direction::Forward)) {
            let undelivered = recorded.outcome.is_some() && recorded.ord.is_none();
            return if recorded.kind == kind && *recorded.name == *name {
                if undelivered {
                    // It ended, and the run was released before it could be delivered.
                    self.undelivered.push_back(command.seq);
                }
                Ok(())
            } else {
                let was = format!("{} {}", recorded.kind, recorded.name);
                let message =
                    format!("step {} is on record as {was}, but the workflow asks for {kind} {name}", command.seq);
                Err(Failure::new("nondeterminism", message).at(command.seq))
            };
        }
        let undoable = match kind {
            StepKind::Activity => {
                let unknown =
                    || Failure::new("unknown_activity", format!("no activity {name} is registered")).at(command.seq);
                self.meta(&name).ok_or_else(unknown)?.undoable
            }
            _ => false,
        };
        let (until, recorded_at_once) = match &command.kind {
            CommandKind::Call { deadline, .. } => (*deadline, deadline.is_some()),
            CommandKind::Timer { until } => (Some(*until), true),
            CommandKind::Signal { until, .. } => (*until, true),
            CommandKind::Side { .. } | CommandKind::Pivot => (None, false),
        };
        let due = until.map(|until| match until {
            Until::At(at) => Due::At(at.bounded()),
            Until::In(span) => Due::In(span.min(LONGEST), now.later(span)),
        });
        let key = (command.seq, Direction::Forward);
        self.steps.insert(key, new_step(&command, kind, name, input, undoable, due));
        self.open.file(&self.steps, key);
        if recorded_at_once {
            self.dirty.insert(key);
        }
        match kind {
            StepKind::Pivot => {
                self.pivoted = true;
                self.settle_unknown();
                self.complete_step(command.seq, Outcome::Ok, None, None);
            }
            StepKind::Signal => self.match_signals(),
            StepKind::Activity | StepKind::Timer | StepKind::Side => {}
        }
        Ok(())
    }

    /// Gives open signal waits the oldest signal of their name.
    pub(super) fn match_signals(&mut self) {
        if self.signals.is_empty() {
            return;
        }
        let open = self.open.forward().filter_map(|key| self.steps.get(&key));
        let waits = open.filter(|step| step.kind == StepKind::Signal).map(|step| (step.seq, step.name.clone()));
        let waits: Vec<_> = waits.collect();
        for (seq, name) in waits {
            let Some(at) = self.signals.iter().position(|signal| signal.name == name) else { continue };
            if let Some(signal) = self.signals.remove(at) {
                self.out.writes.consumed.push((signal.id, seq));
                self.complete_step(seq, Outcome::Ok, signal.payload, None);
            }
        }
    }

    /// Ends a forward step. It is delivered in its turn, unless the function has ended.
    pub(super) fn complete_step(&mut self, seq: u32, outcome: Outcome, output: Option<Json>, error: Option<StepError>) {
        let key = (seq, Direction::Forward);
        let Some(step) = self.steps.get_mut(&key) else { return };
        step.outcome = Some(outcome);
        step.output = output;
        step.error = error;
        step.next_attempt_at = None;
        self.open.file(&self.steps, key);
        self.dirty.insert(key);
        let Some(step) = self.steps.get(&key) else { return };
        let ended_ill = matches!(outcome, Outcome::Failed | Outcome::Unknown);
        let tried_for_long = step.attempts >= RETRYING_AFTER;
        if self.best_effort.contains(&seq) && ended_ill {
            self.attend_to_step(seq, AttentionKind::BestEffort);
        } else if outcome == Outcome::Unknown {
            self.attend_to_step(seq, AttentionKind::Unknown);
        } else if tried_for_long {
            self.out.writes.settled.push(seq);
        }
        if matches!(self.phase, Phase::Forward) {
            self.undelivered.push_back(seq);
        }
    }

    fn attend_to_step(&mut self, seq: u32, kind: AttentionKind) {
        let error = self.steps.get(&(seq, Direction::Forward)).and_then(|step| step.error.clone());
        let (code, message) =
            error.map_or_else(|| ("failed".into(), String::new()), |error| (error.code, error.message));
        self.attend(Some(seq), kind, Failure::new(code, message).at(seq));
    }

    /// Timers, waits and calls that have come due, by the database's clock.
    pub(super) fn fire_due(&mut self, now: Time) {
        if !matches!(self.phase, Phase::Forward) {
            return;
        }
        let is_due = |step: &&Step| step.due.is_some_and(|due| due.estimate() <= now);
        let forward = self.open.forward().filter_map(|key| self.steps.get(&key));
        let due: Vec<_> = forward.filter(is_due).map(|step| (step.seq, step.kind)).collect();
        for (seq, kind) in due {
            match kind {
                StepKind::Timer => self.complete_step(seq, Outcome::Ok, None, None),
                StepKind::Signal => self.complete_step(seq, Outcome::Skipped, None, None),
                StepKind::Activity if !self.in_flight.contains(&(seq, Direction::Forward)) => self.run_out(seq),
                StepKind::Activity | StepKind::Side | StepKind::Pivot => {}
            }
        }
    }

    /// Starts every open step that is not under way and not waiting.
    pub(super) fn start_open(&mut self, now: Time) {
        let idle = self.open.forward().filter(|key| !self.in_flight.contains(key));
        let open = idle.filter_map(|key| self.steps.get(&key));
        let due = open.filter(|step| step.next_attempt_at.is_none_or(|at| at <= now));
        let keys: Vec<_> = due.map(|step| (step.seq, step.kind)).collect();
        for (seq, kind) in keys {
            let key = (seq, Direction::Forward);
            if !matches!(self.phase, Phase::Forward) {
                return;
            }
            match kind {
                StepKind::Activity => self.start(key, now),
                StepKind::Side => {
                    let what = [SideValue::Now, SideValue::Random, SideValue::Uuid];
                    let name = self.steps.get(&key).map(|step| step.name.clone());
                    let what = what.into_iter().find(|what| Some(what.name()) == name.as_deref());
                    if let Some(what) = what {
                        self.in_flight.insert(key);
                        self.out.follow_ups.push(FollowUp::Draw { seq, what });
                    }
                }
                StepKind::Timer | StepKind::Signal | StepKind::Pivot => {}
            }
        }
    }

    /// Before a run ends: steps that are still open get an outcome, which is not delivered.
    pub(super) fn close_open_steps(&mut self) {
        let mut left_unknown = Vec::new();
        for key in self.open.forward().collect::<Vec<_>>() {
            let Some(step) = self.steps.get_mut(&key) else { continue };
            step.outcome = match (step.kind, &step.error) {
                // Before the count of attempts, which starts anew when an operator has a step tried again.
                (StepKind::Activity, Some(error)) if error.unknown => Some(Outcome::Unknown),
                (StepKind::Activity, _) if step.attempts == 0 => Some(Outcome::Skipped),
                (StepKind::Activity, _) => Some(Outcome::Failed),
                (_, _) => Some(Outcome::Skipped),
            };
            step.next_attempt_at = None;
            if step.outcome == Some(Outcome::Unknown) {
                left_unknown.push(key.0);
            }
            self.open.file(&self.steps, key);
            self.dirty.insert(key);
        }
        for seq in left_unknown {
            self.attend_to_step(seq, AttentionKind::Unknown);
        }
    }
}

fn describe_command(command: &WorkflowCommand) -> Result<(StepKind, std::sync::Arc<str>, Option<Json>), Failure> {
    Ok(match &command.kind {
        CommandKind::Call { name, input, .. } => {
            let input = input.clone().map_err(|message| Failure::new("unencodable_input", message).at(command.seq))?;
            (StepKind::Activity, name.clone(), Some(input))
        }
        CommandKind::Timer { .. } => (StepKind::Timer, "sleep".into(), None),
        CommandKind::Signal { name, .. } => (StepKind::Signal, name.clone(), None),
        CommandKind::Side { what } => (StepKind::Side, what.name().into(), None),
        CommandKind::Pivot => (StepKind::Pivot, "pivot".into(), None),
    })
}

fn new_step(
    command: &WorkflowCommand,
    kind: StepKind,
    name: std::sync::Arc<str>,
    input: Option<Json>,
    undoable: bool,
    due: Option<Due>,
) -> Step {
    Step {
        seq: command.seq,
        direction: Direction::Forward,
        kind,
        name,
        ord: None,
        issued_after: command.issued_after,
        outcome: None,
        attempts: 0,
        generation: 0,
        undoable,
        input,
        output: None,
        error: None,
        details: None,
        due,
        next_attempt_at: None,
        undo_after: Vec::new(),
        policy: None,
        started_at: None,
        took: std::time::Duration::ZERO,
        log: Vec::new(),
        recorded: false,
    }
}
