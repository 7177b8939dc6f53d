//! All rows of a flush, by the part of the statement that writes them.

use std::collections::BTreeMap;

use sqlx::postgres::PgBindIterExt;

use super::{Commit, split_due, steps::Steps, to_text};
use crate::engine::{
    core::{
        attention::Attention,
        decision::{RunWrite, Wait},
        model::{Direction, Failure, Json, RunId, Status, Time},
    },
    error::Error,
    store::{parts::Values, rows::make_storable},
};

/// Whose fence a flush stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// A lane's own connection's.
    Lane,
    /// That of the transactions of its steps, which is shared.
    Step,
}

/// The parts of flush.sql.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    fence: Fence,
    pub(super) pivots: bool,
    ended: bool,
    new: bool,
    changed: bool,
    uncertain: bool,
    pub(super) runs: bool,
    waits: bool,
    pub(super) trouble: bool,
}

impl Parts {
    const NAMES: [&'static str; 10] =
        ["lane", "step", "pivots", "ended", "new", "changed", "uncertain", "runs", "waits", "trouble"];

    fn chosen(self) -> [bool; 10] {
        let Self { fence, pivots, ended, new, changed, uncertain, runs, waits, trouble } = self;
        [fence == Fence::Lane, fence == Fence::Step, pivots, ended, new, changed, uncertain, runs, waits, trouble]
    }

    pub(super) fn names(self, part: &str) -> bool {
        Self::NAMES.iter().zip(self.chosen()).any(|(name, chosen)| chosen && *name == part)
    }

    /// A number for the choice, not 0.
    pub(super) fn key(self) -> u32 {
        self.chosen().iter().fold(0, |key, chosen| (key << 1) | u32::from(*chosen))
    }
}

/// What becomes of a run's row.
struct RunRow<'a> {
    id: RunId,
    status: Status,
    output: Option<&'a Json>,
    failure: Option<&'a Failure>,
    wait: Option<&'a Wait>,
    seen: Option<i32>,
    claimed_at: Time,
    unpaused: bool,
}

impl<'a> RunRow<'a> {
    fn of(commit: &'a Commit) -> Option<Self> {
        let (status, output, failure, wait, seen) = match commit.writes.run.as_ref()? {
            RunWrite::Dequeue { status, output, failure, wait, seen } => {
                (*status, output.as_ref(), failure.as_ref(), wait.as_ref(), Some(*seen))
            }
            RunWrite::Compensating { failure } => (Status::Compensating, None, Some(failure), None, None),
            RunWrite::HandOver { .. } | RunWrite::NotDue { .. } => return None,
        };
        let unpaused = commit.writes.unpaused && wait.is_none();
        Some(Self { id: commit.run, status, output, failure, wait, seen, claimed_at: commit.claimed_at, unpaused })
    }

    /// Whether `unhealthy` has to say this status. A run that parks between two undos is there already; whatever brought a run
    /// back to a good way has taken its row away.
    const fn is_unhealthy(&self) -> bool {
        let ordinary = matches!(self.status, Status::Active | Status::Waiting | Status::Completed);
        self.wait.is_none() && !ordinary
    }
}

/// All rows of a flush.
#[derive(Default)]
pub(super) struct Rows<'a> {
    steps: Steps<'a>,
    runs: Vec<RunRow<'a>>,
    pivoting: Vec<RunId>,
    /// One of `runs` had a timer, and has ended.
    had_timer: bool,
    consumed: Vec<(RunId, i64, u32)>,
    planned: Vec<(RunId, &'a Failure)>,
    settled: Vec<(RunId, u32)>,
    attention: Vec<(RunId, &'a Attention)>,
    /// With the names of their failures' steps, where this flush knows them.
    unhealthy: Vec<(RunId, Status, Option<&'a Failure>, Option<&'a str>)>,
    unpaused: Vec<RunId>,
    progress: Vec<RunId>,
    handed_over: Vec<(RunId, &'a str, bool)>,
    not_due: Vec<(RunId, i32)>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(commits: &[&'a Commit]) -> Self {
        let mut rows = Self::default();
        commits.iter().for_each(|commit| rows.push(commit));
        rows
    }

    fn push(&mut self, commit: &'a Commit) {
        let (run, writes) = (commit.run, &commit.writes);
        self.steps.push(commit);
        if commit.passes_pivot() {
            self.pivoting.push(run);
        }
        self.consumed.extend(writes.consumed.iter().map(|(signal, seq)| (run, *signal, *seq)));
        self.planned.extend(writes.planned.iter().map(|cause| (run, cause)));
        // One row for each step: the latest, also where it was settled in the same commit.
        let latest: BTreeMap<_, _> = writes.attention.iter().map(|attention| (attention.seq, attention)).collect();
        self.settled
            .extend(writes.settled.iter().filter(|seq| !latest.contains_key(&Some(**seq))).map(|seq| (run, *seq)));
        self.attention.extend(latest.into_values().map(|attention| (run, attention)));
        match &writes.run {
            Some(RunWrite::HandOver { queue }) => self.handed_over.push((run, queue, writes.progress)),
            Some(RunWrite::NotDue { seen }) => self.not_due.push((run, *seen)),
            _ if writes.progress => self.progress.push(run),
            _ => {}
        }
        let Some(row) = RunRow::of(commit) else { return };
        self.had_timer |= commit.parked_before && row.seen.is_some() && row.wait.is_none();
        if row.unpaused {
            self.unpaused.push(run);
        }
        if row.is_unhealthy() {
            let seq = row.failure.and_then(|failure| failure.step);
            let step = writes.steps.iter().find(|step| Some(step.seq) == seq && step.direction == Direction::Forward);
            self.unhealthy.push((run, row.status, row.failure, step.map(|step| &*step.name)));
        }
        self.runs.push(row);
    }

    pub(super) fn parts(&self, fence: Fence) -> Parts {
        let trouble = !self.planned.is_empty()
            || !self.settled.is_empty()
            || !self.attention.is_empty()
            || !self.unhealthy.is_empty()
            || !self.unpaused.is_empty()
            || !self.progress.is_empty()
            || !self.handed_over.is_empty()
            || !self.not_due.is_empty();
        let waits = self.had_timer || !self.consumed.is_empty() || self.runs.iter().any(|run| run.wait.is_some());
        Parts {
            fence,
            pivots: !self.pivoting.is_empty(),
            ended: !self.steps.ended.is_empty(),
            new: !self.steps.new.is_empty(),
            changed: !self.steps.changed.is_empty(),
            uncertain: !self.steps.uncertain.is_empty(),
            runs: !self.runs.is_empty() || waits || trouble,
            waits,
            trouble,
        }
    }

    /// Binds what the chosen parts ask for.
    pub(super) fn bind(&self, parts: Parts, values: &mut Values) -> Result<(), Error> {
        if parts.pivots {
            values.bind("p_run", &*self.pivoting)?;
        }
        if parts.ended {
            self.steps.bind_ended(values)?;
        }
        if parts.new {
            self.steps.bind_new(values)?;
        }
        if parts.changed {
            self.steps.bind_changed(values)?;
        }
        if parts.uncertain {
            self.steps.bind_uncertain(values)?;
        }
        if parts.runs {
            self.bind_runs(values)?;
        }
        if parts.waits {
            values.bind("c_run", self.consumed.iter().map(|(run, ..)| *run).bind_iter())?;
            values.bind("c_id", self.consumed.iter().map(|(_, id, _)| *id).bind_iter())?;
            values.bind("c_seq", self.consumed.iter().map(|(.., seq)| *seq as i32).bind_iter())?;
        }
        if parts.trouble {
            self.bind_attention(values)?;
            self.bind_queue(values)?;
        }
        Ok(())
    }

    fn bind_runs(&self, values: &mut Values) -> Result<(), Error> {
        let runs = || self.runs.iter();
        let until = |run: &RunRow<'_>| split_due(run.wait.and_then(|wait| wait.until));
        values.bind("r_id", runs().map(|run| run.id).bind_iter())?;
        values.bind("r_status", runs().map(|run| run.status.code()).bind_iter())?;
        values.bind("r_output", runs().map(|run| run.output.map(|json| json.get())).bind_iter())?;
        values.bind("r_failure", runs().map(|run| run.failure.and_then(to_text)).bind_iter())?;
        values.bind("r_wait_kind", runs().map(|run| run.wait.map(|wait| wait.kind.word())).bind_iter())?;
        values.bind("r_wait_name", runs().map(|run| run.wait.map(|wait| &*wait.name)).bind_iter())?;
        values.bind("r_wake_at", runs().map(|run| until(run).0).bind_iter())?;
        values.bind("r_wake_in", runs().map(|run| until(run).1).bind_iter())?;
        values.bind("r_seen", runs().map(|run| run.seen).bind_iter())?;
        values.bind("r_claimed_at", runs().map(|run| run.claimed_at).bind_iter())?;
        values.bind("r_unpaused", runs().map(|run| run.unpaused).bind_iter())
    }

    /// Plans, and what operators look at.
    fn bind_attention(&self, values: &mut Values) -> Result<(), Error> {
        values.bind("cp_run", self.planned.iter().map(|(run, _)| *run).bind_iter())?;
        values.bind("cp_cause", self.planned.iter().map(|(_, cause)| to_text(cause)).bind_iter())?;
        values.bind("ad_run", self.settled.iter().map(|(run, _)| *run).bind_iter())?;
        values.bind("ad_seq", self.settled.iter().map(|(_, seq)| *seq as i32).bind_iter())?;
        let all = || self.attention.iter().map(|(_, attention)| *attention);
        values.bind("ai_run", self.attention.iter().map(|(run, _)| *run).bind_iter())?;
        values.bind("ai_seq", all().map(|one| one.seq.map_or(-1, |seq| seq as i32)).bind_iter())?;
        values.bind("ai_kind", all().map(|one| one.kind.word()).bind_iter())?;
        values.bind("ai_code", all().map(|one| make_storable(&one.failure.code)).bind_iter())?;
        values.bind("ai_message", all().map(|one| make_storable(&one.failure.message)).bind_iter())?;
        values.bind("ai_fingerprint", all().map(|one| one.fingerprint).bind_iter())?;
        values.bind("ai_step_name", all().map(|one| one.step_name.as_deref()).bind_iter())?;
        let rows = || self.unhealthy.iter();
        let seq = |failure: &Option<&Failure>| failure.and_then(|failure| failure.step).map(|seq| seq as i32);
        values.bind("ui_run", rows().map(|(run, ..)| *run).bind_iter())?;
        values.bind("ui_status", rows().map(|(_, status, ..)| status.code()).bind_iter())?;
        let code = |failure: &Option<&'a Failure>| failure.map(|failure| make_storable(&failure.code));
        values.bind("ui_code", rows().map(|(_, _, failure, _)| code(failure)).bind_iter())?;
        values.bind("ui_seq", rows().map(|(_, _, failure, _)| seq(failure)).bind_iter())?;
        values.bind("ui_step_name", rows().map(|(.., name)| *name).bind_iter())?;
        values.bind("pd_run", &*self.unpaused)
    }

    /// What becomes of a run's place in `ready` without its row.
    fn bind_queue(&self, values: &mut Values) -> Result<(), Error> {
        values.bind("qp_run", &*self.progress)?;
        values.bind("qh_run", self.handed_over.iter().map(|(run, ..)| *run).bind_iter())?;
        values.bind("qh_queue", self.handed_over.iter().map(|(_, queue, _)| *queue).bind_iter())?;
        values.bind("qh_progress", self.handed_over.iter().map(|(.., progress)| *progress).bind_iter())?;
        values.bind("l_run", self.not_due.iter().map(|(run, _)| *run).bind_iter())?;
        values.bind("l_seen", self.not_due.iter().map(|(_, seen)| *seen).bind_iter())
    }
}
