//! The inbox of a run while a worker has it: cancel, compensate, pause, and signals.

use super::{Dequeued, Ending, Machine, Phase};
use crate::engine::core::{
    decision::{FollowUp, RunWrite},
    model::{Failure, Json, Request, Signal, Status, Time},
};

impl Machine {
    /// Whether a request can still be carried out: a cancel after the pivot can't.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        match self.request {
            Request::None => false,
            Request::Cancel => !self.pivoted,
            Request::Compensate => true,
            Request::Pause => !matches!(self.status, Status::Paused | Status::Stuck) && !self.status.is_end(),
        }
    }

    /// Cancel, compensate and pause requests and the run's deadline: all stop the function. True when it is stopped.
    pub(super) fn stop_if_asked(&mut self, now: Time) -> bool {
        if self.request == Request::Pause {
            self.pause();
            return true;
        }
        if self.status == Status::Compensating {
            return true;
        }
        let overdue = !self.pivoted && self.deadline_at.is_some_and(|at| at <= now);
        let failure = match self.request {
            Request::Compensate => Failure::new("compensated", "an operator had it undone"),
            Request::Cancel if !self.pivoted => Failure::new("cancelled", "it was cancelled"),
            _ if overdue && self.status != Status::Completed => {
                Failure::new("deadline_exceeded", "it was not past its pivot in time")
            }
            Request::Cancel | Request::Pause | Request::None => return false,
        };
        if matches!(self.phase, Phase::Undoing | Phase::Settling(Ending::Stopped(_))) {
            return true;
        }
        self.execution = None;
        self.undelivered.clear();
        self.phase = Phase::Settling(Ending::Stopped(failure));
        if self.busy() {
            self.out.follow_ups.push(FollowUp::Cancel);
        }
        true
    }

    /// Begins nothing more, delivers nothing more, and lets attempts under way end. A run that is about to end or to get stuck
    /// just does.
    fn pause(&mut self) {
        if matches!(self.phase, Phase::Forward | Phase::Undoing) {
            self.execution = None;
            self.undelivered.clear();
            self.phase = Phase::Settling(Ending::Paused);
        }
    }

    /// The pause was lifted before the run was released: it goes on, as after any replay.
    fn unpause(&mut self, now: Time) {
        if !matches!(self.phase, Phase::Settling(Ending::Paused)) {
            return;
        }
        if self.status == Status::Compensating {
            self.phase = Phase::Undoing;
            return;
        }
        self.phase = Phase::Forward;
        (self.next_seq, self.delivered) = (0, 0);
        self.best_effort.clear();
        self.replay(now);
    }

    pub(super) fn open_inbox(&mut self, inbox: i32, request: Request, signals: Vec<Signal>, now: Time) {
        self.seen = inbox;
        self.request = request;
        self.signals = signals.into();
        match self.dequeued.take() {
            Some(dequeued) => self.restore_before_dequeue(dequeued),
            None if matches!(self.phase, Phase::Released) => {
                // It was not due, and now something has come: the rows are newer than this memory, so it is reloaded.
                self.out.writes.run = Some(RunWrite::HandOver { queue: self.queue.clone() });
                return;
            }
            None => {}
        }
        self.stop_if_asked(now);
        if self.request != Request::Pause {
            self.unpause(now);
        }
        if matches!(self.phase, Phase::Forward) {
            self.match_signals();
        }
    }

    /// The commit did not release the run, because its inbox had changed: it is decided again.
    fn restore_before_dequeue(&mut self, dequeued: Dequeued) {
        self.status = dequeued.before;
        self.phase = match (dequeued.status, dequeued.failure) {
            (Status::Completed, _) => {
                let returned: Result<Json, Failure> =
                    dequeued.output.map_or_else(|| Err(Failure::new("no_output", "")), Ok);
                Phase::Settling(Ending::Returned(returned))
            }
            (Status::Failed, Some(failure)) => Phase::Settling(Ending::Stopped(failure)),
            (Status::Stuck, Some(failure)) => Phase::Settling(Ending::Stuck(failure)),
            (Status::Paused, _) => Phase::Settling(Ending::Paused),
            _ if dequeued.before == Status::Compensating => Phase::Undoing,
            _ => Phase::Forward,
        };
    }
}
