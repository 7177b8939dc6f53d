//! What the engine counts and times, through the `metrics` facade: a service that embeds the engine installs a recorder before
//! [`super::Engine::new`], and who installs none pays next to nothing.
//!
//! All handles are made here, with the engine: the hot path looks nothing up in a registry. What is counted is what was
//! committed; labels are words of the code (activities, statuses), never ids. docs/watching.md has the table.

use std::{collections::HashMap, time::Duration};

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::{
    core::{
        decision::RunWrite,
        model::{Direction, Outcome, Status, Step, StepKind},
    },
    registry::Registry,
    store::flush::{Commit, Flushed},
};

/// Durations in seconds, from an in-process step to far too long.
pub(crate) const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Numbers of rows and runs in one commit.
const BATCHES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

/// The engine's histograms with the upper bounds of their buckets, for a service that installs a recorder of its own: without
/// bounds, many recorders make summaries, which can't be added up over processes.
pub const HISTOGRAMS: &[(&str, &[f64])] = &[
    ("backstitch_step_duration_seconds", SECONDS),
    ("backstitch_claim_delay_seconds", SECONDS),
    ("backstitch_timer_lateness_seconds", SECONDS),
    ("backstitch_flush_seconds", SECONDS),
    ("backstitch_flush_runs", BATCHES),
    ("backstitch_flush_steps", BATCHES),
];

/// The steps of one activity.
struct ActivityMeters {
    /// By direction, then by outcome, in the order of their codes.
    outcomes: [[Counter; Outcome::ALL.len()]; Direction::ALL.len()],
    seconds: Histogram,
}

/// The handles of one engine.
pub(crate) struct Meters {
    pub(crate) started: Counter,
    pub(crate) claim_delay: Histogram,
    pub(crate) timers_fired: Counter,
    pub(crate) timer_lateness: Histogram,
    pub(crate) lanes_fenced: Counter,
    pub(crate) takeovers: Counter,
    pub(crate) tasks_died: Counter,
    pub(crate) silent: Gauge,
    pub(crate) slots: Gauge,
    pub(crate) active_runs: Gauge,
    ended: HashMap<Status, Counter>,
    activities: HashMap<&'static str, ActivityMeters>,
    /// Steps of activities that this process does not know: one label for all of them.
    unknown_activity: ActivityMeters,
    flush_runs: Histogram,
    flush_steps: Histogram,
    flush_seconds: Histogram,
}

impl Meters {
    /// The handles for these activities, with the recorder that is installed now.
    pub(crate) fn new(registry: &Registry) -> Self {
        describe();
        let of_status = |status: &Status| (*status, counter!("backstitch_runs_ended_total", "status" => status.word()));
        Self {
            started: counter!("backstitch_runs_started_total"),
            claim_delay: histogram!("backstitch_claim_delay_seconds"),
            timers_fired: counter!("backstitch_timers_fired_total"),
            timer_lateness: histogram!("backstitch_timer_lateness_seconds"),
            lanes_fenced: counter!("backstitch_lanes_fenced_total"),
            takeovers: counter!("backstitch_takeovers_total"),
            tasks_died: counter!("backstitch_tasks_died_total"),
            silent: gauge!("backstitch_worker_silent_seconds"),
            slots: gauge!("backstitch_worker_slots"),
            active_runs: gauge!("backstitch_worker_held"),
            ended: Status::ALL.iter().filter(|status| status.is_end()).map(of_status).collect(),
            activities: registry
                .activities()
                .into_iter()
                .map(|meta| (meta.name, ActivityMeters::new(meta.name, meta.undoable)))
                .collect(),
            unknown_activity: ActivityMeters::new("unknown", true),
            flush_runs: histogram!("backstitch_flush_runs"),
            flush_steps: histogram!("backstitch_flush_steps"),
            flush_seconds: histogram!("backstitch_flush_seconds"),
        }
    }

    /// Counts what one commit has recorded; runs that were lost or refused in it have recorded nothing.
    pub(crate) fn flushed(&self, commits: &[Commit], flushed: &Flushed, took: Duration) {
        self.flush_seconds.record(took);
        self.flush_runs.record(commits.len() as f64);
        let mut steps = 0_usize;
        for commit in commits {
            if flushed.lost.contains(&commit.run) || flushed.refused.contains(&commit.run) {
                continue;
            }
            steps += commit.writes.steps.len();
            commit.writes.steps.iter().for_each(|step| self.step(step));
            if let Some(RunWrite::Dequeue { status, .. }) = &commit.writes.run
                && flushed.dequeued.contains(&commit.run)
            {
                self.ended(*status);
            }
        }
        self.flush_steps.record(steps as f64);
    }

    /// Counts a run's end; a status that is none counts nothing.
    pub(crate) fn ended(&self, status: Status) {
        if let Some(ended) = self.ended.get(&status) {
            ended.increment(1);
        }
    }

    fn step(&self, step: &Step) {
        let Some(outcome) = step.outcome.filter(|_| step.kind == StepKind::Activity) else { return };
        let meters = self.activities.get(&*step.name).unwrap_or(&self.unknown_activity);
        meters.outcomes[step.direction as usize][outcome as usize].increment(1);
        if !step.took.is_zero() {
            meters.seconds.record(step.took);
        }
    }
}

impl ActivityMeters {
    fn new(activity: &'static str, undoable: bool) -> Self {
        let of = |direction: Direction, outcome: Outcome| {
            // An activity without an undo has no undos to show.
            if direction == Direction::Undo && !undoable {
                return Counter::noop();
            }
            let labels = [("activity", activity), ("direction", direction.word()), ("outcome", outcome.word())];
            counter!("backstitch_steps_total", &labels)
        };
        Self {
            outcomes: [Direction::Forward, Direction::Undo].map(|direction| {
                [Outcome::Ok, Outcome::Failed, Outcome::Unknown, Outcome::Skipped].map(|outcome| of(direction, outcome))
            }),
            seconds: histogram!("backstitch_step_duration_seconds", "activity" => activity),
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

/// What each of them means, for recorders that show it.
fn describe() {
    describe_counter!("backstitch_runs_started_total", "Runs that this process has started");
    describe_counter!("backstitch_runs_ended_total", "Runs whose end this process has recorded, by status");
    describe_counter!("backstitch_steps_total", "Outcomes of steps that this process has recorded");
    describe_histogram!("backstitch_step_duration_seconds", Unit::Seconds, "How long a step's last attempt took");
    describe_histogram!(
        "backstitch_claim_delay_seconds",
        Unit::Seconds,
        "How long a run was due before it was claimed"
    );
    describe_histogram!("backstitch_flush_runs", "Runs in one commit of a lane");
    describe_histogram!("backstitch_flush_steps", "Step rows in one commit of a lane");
    describe_histogram!("backstitch_flush_seconds", Unit::Seconds, "How long one commit of a lane took");
    describe_histogram!("backstitch_timer_lateness_seconds", Unit::Seconds, "How late a timer's run became due");
    describe_counter!("backstitch_timers_fired_total", "Parked runs that this process has made due");
    describe_counter!("backstitch_lanes_fenced_total", "Lanes of this process that others had declared dead");
    describe_counter!("backstitch_takeovers_total", "Runs that this process has taken over from lost workers");
    describe_counter!("backstitch_tasks_died_total", "Tasks of workers that have panicked: a bug, and in the log");
    describe_gauge!(
        "backstitch_worker_silent_seconds",
        Unit::Seconds,
        "How long no lane of this process has had an answer"
    );
    describe_counter!(
        "backstitch_connections_closed_total",
        "Connections that came back to their pool as nobody may get them, by why"
    );
    describe_gauge!("backstitch_worker_slots", "Runs that this process may hold at the same time");
    describe_gauge!("backstitch_worker_held", "Runs that this process holds");
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

    use super::*;

    #[test]
    fn anothers_recorder_makes_histograms_with_our_bounds() {
        let with = |builder: PrometheusBuilder, (name, bounds): &(&str, &[f64])| {
            builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds).expect("bounds")
        };
        let recorder = HISTOGRAMS.iter().fold(PrometheusBuilder::new(), with).build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let meters = Meters::new(&Registry::new());
            let all = [
                &meters.claim_delay,
                &meters.timer_lateness,
                &meters.flush_runs,
                &meters.flush_steps,
                &meters.flush_seconds,
                &meters.unknown_activity.seconds,
            ];
            all.iter().for_each(|histogram| histogram.record(0.2));
        });
        let shown = recorder.handle().render();
        let of_type =
            |kind: &str| shown.lines().filter(|line| line.starts_with("# TYPE ") && line.ends_with(kind)).count();
        assert_eq!((of_type(" histogram"), of_type(" summary")), (HISTOGRAMS.len(), 0), "{shown}");
    }
}
