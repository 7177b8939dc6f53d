//! What operators hold back, and what a worker may begin.
//!
//! Holds are of three kinds. A held *queue* or *workflow* is left out by claims. A held *activity* holds back single steps:
//! a run that comes to one is put aside, into a queue that bears the activity's name and that nobody serves.

use std::{collections::BTreeSet, sync::Arc};

use super::words::words;

/// Queues whose names begin with this are the engine's own.
pub const RESERVED: char = '@';

words! {
    /// What can be held back.
    HoldKind, "kind" {
        /// All runs of a workflow, in all its versions.
        Workflow = "workflow",
        /// Attempts, verifications and undos of an activity, in whatever workflow.
        Activity = "activity",
        /// All runs that are due in a queue, and all activities that it serves.
        Queue = "queue",
    }
}

/// The queue of runs that wait for a held activity.
pub fn aside(activity: &str) -> String {
    format!("{RESERVED}activity/{activity}")
}

/// What is held back, as last read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    workflows: BTreeSet<String>,
    activities: BTreeSet<String>,
    queues: BTreeSet<String>,
}

impl HeldBack {
    /// Whether something of this kind and name is held back.
    pub fn holds(&self, kind: HoldKind, name: &str) -> bool {
        match kind {
            HoldKind::Workflow => self.workflows.contains(name),
            HoldKind::Activity => self.activities.contains(name),
            HoldKind::Queue => self.queues.contains(name),
        }
    }

    /// Whether an activity that is held back here has been released there.
    pub fn has_released(&self, later: &Self) -> bool {
        !self.activities.is_subset(&later.activities)
    }

    /// Whether nothing is held back: nearly always.
    pub fn is_empty(&self) -> bool {
        self.workflows.is_empty() && self.activities.is_empty() && self.queues.is_empty()
    }
}

impl FromIterator<(HoldKind, String)> for HeldBack {
    fn from_iter<T: IntoIterator<Item = (HoldKind, String)>>(holds: T) -> Self {
        let mut held = Self::default();
        for (kind, name) in holds {
            match kind {
                HoldKind::Workflow => held.workflows.insert(name),
                HoldKind::Activity => held.activities.insert(name),
                HoldKind::Queue => held.queues.insert(name),
            };
        }
        held
    }
}

/// What a worker may begin at present. A closure over queue names is one without holds.
pub trait Begins: Send + Sync {
    /// Whether activities of this queue may begin here.
    fn serves(&self, queue: &str) -> bool;

    /// Whether attempts, verifications and undos of this activity are held back.
    fn holds(&self, activity: &str) -> bool;
}

impl<F: Fn(&str) -> bool + Send + Sync> Begins for F {
    fn serves(&self, queue: &str) -> bool {
        self(queue)
    }

    fn holds(&self, _: &str) -> bool {
        false
    }
}

/// What a worker may begin, shared by its machines.
pub type Serves = Arc<dyn Begins>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_of_one_kind_and_name() {
        let held: HeldBack = [(HoldKind::Activity, "charge".to_owned())].into_iter().collect();
        assert!(held.holds(HoldKind::Activity, "charge") && !held.is_empty());
        assert!(!held.holds(HoldKind::Queue, "charge") && !held.holds(HoldKind::Activity, "notify"));
    }

    #[test]
    fn an_activity_is_released_when_it_is_held_no_more() {
        let of = |kinds: &[HoldKind]| kinds.iter().map(|kind| (*kind, "charge".to_owned())).collect::<HeldBack>();
        let held = of(&[HoldKind::Activity, HoldKind::Queue]);
        assert!(held.has_released(&of(&[HoldKind::Queue])));
        assert!(!held.has_released(&of(&[HoldKind::Activity])) && !of(&[]).has_released(&held));
    }
}
