//! The shop's workflows. Each is one function over activities; shared parts have files of their own.
//!
//! | file | is |
//! |---|---|
//! | `order` | an order, from reserving its stock to its archive |
//! | `late_payment` | money that arrived after its order was cancelled |
//! | `archive_sweep` | the scheduled sweep of the archive |
//! | `paying` | collecting the money, or making sure that none was taken |
//! | `following` | a placed order: its window, its fulfilment, its end |
//! | `refunding` | refunding, until the gateway says that the money is back |

mod archive_sweep;
mod following;
mod late_payment;
mod order;
mod paying;
mod refunding;

use crate::{
    activities::{self, ShopDeps, described::Describe},
    engine::{CatchUp, Error, Overlap, Registry, ScheduleSpec, to_json},
    orders::runs::{ARCHIVE_SWEEP, SweepInput},
};

pub use self::{archive_sweep::ArchiveSweep, following::Ended, late_payment::LatePayment, order::OrderWorkflow};

/// Adds the workflows and their activities to a registry.
pub fn register(registry: Registry, deps: &ShopDeps) -> Registry {
    activities::register(registry, deps)
        .with_workflow(OrderWorkflow)
        .with_workflow(LatePayment)
        .with_workflow(ArchiveSweep)
}

/// The shop's schedules, by name. A starting server creates those that are missing and leaves the others as operators
/// have changed or paused them. A deleted one comes back: pause it to be rid of it.
///
/// # Errors
/// When an input has no JSON form.
pub fn schedules() -> Result<Vec<(&'static str, ScheduleSpec)>, Error> {
    let input = to_json(&SweepInput::default()).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    let archive_sweep = ScheduleSpec {
        cron: "*/30 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        workflow: ARCHIVE_SWEEP.to_owned(),
        input,
        queue: None,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        paused: None,
    };
    Ok(vec![("archive-sweep", archive_sweep)])
}
