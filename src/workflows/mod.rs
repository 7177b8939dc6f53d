//! The shop's workflows. Each is one function over activities; shared parts have files of their own.
//!
//! | file | is |
//! |---|---|
//! | `order` | an order, from reserving its stock to its archive |
//! | `late_payment` | money that arrived after its order was cancelled |
//! | `archive_sweep` | the scheduled sweep of the archive |
//! | `reconcile` | the scheduled comparison with the gateway, and what mends a difference |
//! | `paying` | collecting the money, or making sure that none was taken |
//! | `following` | a placed order: its window, its fulfilment, its end |
//! | `refunding` | refunding, until the gateway says that the money is back |

mod archive_sweep;
mod following;
mod late_payment;
mod order;
mod paying;
mod reconcile;
mod refunding;

use serde::Serialize;

use crate::{
    activities::{self, ShopDeps, described::Describe},
    engine::{CatchUp, Error, Overlap, Registry, ScheduleSpec, to_json},
    orders::runs::{ARCHIVE_SWEEP, RECONCILE, ReconcileInput, SweepInput},
};

pub use self::{
    archive_sweep::ArchiveSweep,
    following::Ended,
    late_payment::LatePayment,
    order::OrderWorkflow,
    reconcile::{MendRun, Reconcile},
};

/// Adds the workflows and their activities to a registry.
pub fn register(registry: Registry, deps: &ShopDeps) -> Registry {
    activities::register(registry, deps)
        .with_workflow(OrderWorkflow)
        .with_workflow(LatePayment)
        .with_workflow(ArchiveSweep)
        .with_workflow(Reconcile)
        .with_workflow(MendRun)
}

/// The shop's schedules, by name. A starting server creates those that are missing and leaves the others as operators
/// have changed or paused them. A deleted one comes back: pause it to be rid of it.
///
/// # Errors
/// When an input has no JSON form.
pub fn schedules() -> Result<Vec<(&'static str, ScheduleSpec)>, Error> {
    Ok(vec![
        ("archive-sweep", every(30, ARCHIVE_SWEEP, &SweepInput::default())?),
        ("reconcile", every(15, RECONCILE, &ReconcileInput::default())?),
    ])
}

/// A schedule that starts a workflow every so many minutes, one run at a time.
fn every<I: Serialize>(minutes: u8, workflow: &str, input: &I) -> Result<ScheduleSpec, Error> {
    Ok(ScheduleSpec {
        cron: format!("*/{minutes} * * * *"),
        time_zone: "UTC".to_owned(),
        workflow: workflow.to_owned(),
        input: to_json(input).map_err(|error| Error::InvalidRequest(error.to_string()))?,
        queue: None,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        paused: None,
    })
}
