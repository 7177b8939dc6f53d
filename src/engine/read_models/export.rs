//! One run with everything that is on record of it, in one document.

use serde::{Deserialize, Serialize};

use super::{AuditEntry, Run};
use crate::engine::core::{
    model::{Json, RunId, Time},
    words::words,
};

words! {
    /// The form of an export. Members may be added to a form; a change of meaning gets another number.
    ExportFormat, "format" {
        /// The only one so far.
        V1 = "backstitch.run/1",
    }
}

/// A run, whole. Fields that are marked as secret are hidden in it as everywhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RunExport {
    /// The form of this document: `backstitch.run/1`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub format: ExportFormat,
    /// When it was made.
    pub exported_at: Time,
    /// The run with its steps, undos included, and why it needs attention.
    pub run: Run,
    /// Its inbox, oldest first.
    pub signals: Vec<InboxSignal>,
    /// Why it was or is being undone, where its plan of undos was made. The undos are steps of the run.
    pub compensation: Option<Compensation>,
    /// The slot of a schedule that started it.
    pub slot: Option<SlotOfRun>,
    /// Runs that take on from it.
    pub children: Vec<RunId>,
    /// What operators did to it or were refused, oldest first.
    pub audit: Vec<AuditEntry>,
}

/// An entry of a run's inbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct InboxSignal {
    /// Its number; they are taken in this order.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it carries.
    pub payload: Option<Json>,
    /// The sender's key.
    pub key: Option<String>,
    /// The step that took it.
    pub consumed_by: Option<i32>,
    /// When it came.
    pub created_at: Time,
}

/// That a run's plan of undos was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Compensation {
    /// Why.
    pub cause: Option<Json>,
    /// When.
    pub planned_at: Time,
}

/// The slot that started a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct SlotOfRun {
    /// The schedule.
    pub schedule: String,
    /// The moment that it names.
    pub slot: Time,
}
