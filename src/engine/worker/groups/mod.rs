//! Attempts that are made together: one transaction, one flush and one commit for many runs, or one call of another system.
//!
//! | part | does |
//! |---|---|
//! | `service` | puts attempts of activities that do many at once into groups (see `core::grouping`), and begins those |
//! | `transaction` | a group's life: call, hand out results, collect what the runs decide; or roll back and narrow down |
//! | `recording` | its end: flush and commit |
//! | `calling` | calls the activity: for one or for all |
//! | `tried` | what came of it, and what the runs are told |
//! | `place` | an attempt's place in a group, and what waits |
//!
//! Nothing of a group that rolls back is told to its runs, but for an output that a run has decided on already: when the
//! attempt comes to the same again, that decision stands; else its run is reloaded.

mod calling;
mod place;
mod recording;
mod service;
mod transaction;
mod tried;

pub(super) use self::{calling::bounded, place::Groups, service::attempt};
