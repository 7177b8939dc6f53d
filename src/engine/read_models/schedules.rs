//! Schedules as people see them, and what they set.

use serde::{Deserialize, Serialize};

use super::{Slice, wire::buffered_json};
use crate::engine::core::{
    model::{Json, RunId, Time},
    schedule::{CatchUp, Overlap, SlotOutcome},
};

/// What a schedule is set to.
#[derive(Clone, Debug)]
pub struct ScheduleSpec {
    /// When: five fields as in crontab(5).
    pub cron: String,
    /// The zone whose wall clock the expression means, by its IANA name.
    pub time_zone: String,
    /// The workflow that is started.
    pub workflow: String,
    /// With this input.
    pub input: Json,
    /// In this queue; `default` unless said.
    pub queue: Option<String>,
    /// What a slot does while the previous run has not ended.
    pub overlap: Overlap,
    /// What becomes of slots that nobody saw to in time.
    pub catch_up: CatchUp,
    /// Whether it is paused; none leaves it as it is.
    pub paused: Option<bool>,
}

/// A schedule as people see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When: a cron expression.
    pub cron: String,
    /// The zone whose wall clock the expression means.
    pub time_zone: String,
    /// The workflow that is started.
    pub workflow: String,
    /// With this input.
    #[serde(default, deserialize_with = "buffered_json")]
    pub input: Option<Json>,
    /// In this queue; none is `default`.
    pub queue: Option<String>,
    /// What a slot does while the previous run has not ended.
    pub overlap: Overlap,
    /// What becomes of slots that nobody saw to in time.
    pub catch_up: CatchUp,
    /// Nothing starts until it is resumed.
    pub paused: bool,
    /// The next three slots, from now on.
    pub next: Vec<Time>,
    /// The latest slot that has come, and what became of it.
    pub last: Option<Slot>,
    /// Slots on record that were missed.
    pub missed: i64,
    /// Slots that wait for a run to end.
    pub queued: i64,
    /// When it was first set.
    pub created_at: Time,
    /// When it was last changed by somebody.
    pub updated_at: Time,
}

/// A slot that has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Slot {
    /// The moment that the schedule names.
    pub slot: Time,
    /// What became of it.
    pub outcome: SlotOutcome,
    /// The run, where one was started.
    pub run_id: Option<RunId>,
    /// Why, where it was not started.
    pub message: Option<String>,
    /// When that was decided.
    pub at: Time,
}

/// A schedule with its slots, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ScheduleDetail {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// Its slots.
    pub slots: Slice<Slot>,
}

/// What a change of a schedule came to, or would come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ScheduleChange {
    /// The schedule as it is now, or would be; as it was, where it is deleted.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// It was not there before.
    pub created: bool,
    /// True: nothing was changed.
    pub dry_run: bool,
}

/// A run that was started beside a schedule's slots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ScheduledRun {
    /// The schedule.
    pub schedule: String,
    /// The moment, which stands for a slot.
    pub slot: Time,
    /// The run; none in a dry run.
    pub run_id: Option<RunId>,
    /// True: nothing was started.
    pub dry_run: bool,
}
