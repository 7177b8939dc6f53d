//! The shop's workflows. Each is one function over activities; what they share has a file of its own.
//!
//! | file | is |
//! |---|---|
//! | `order` | an order, from reserving its stock to its archive |
//! | `late_payment` | money that arrived after its order was cancelled |
//! | `archive_sweep` | the scheduled tidying of the archive |
//! | `paying` | getting the money, or being sure that there is none |
//! | `following` | a placed order: its window, its fulfilment, its end |
//! | `refunding` | giving money back, until the gateway says that it is back |

mod archive_sweep;
mod following;
mod late_payment;
mod order;
mod paying;
mod refunding;

use crate::{
    activities::{self, ShopDeps},
    engine::Registry,
};

pub use self::{archive_sweep::ArchiveSweep, following::Ended, late_payment::LatePayment, order::OrderWorkflow};

/// Adds the workflows and their activities to a registry.
pub fn register(registry: Registry, deps: &ShopDeps) -> Registry {
    activities::register(registry, deps).workflow(OrderWorkflow).workflow(LatePayment).workflow(ArchiveSweep)
}
