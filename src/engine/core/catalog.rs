//! What the core knows of activities: how they are tried, and what an attempt that does not end well may have left.

use super::{model::Direction, policy::Policy, schema::Schema};

/// What the core needs to know of an activity, without its types.
#[derive(Clone, Debug)]
pub struct ActivityMeta {
    /// Its name, which the step rows bear.
    pub name: &'static str,
    /// Its rules.
    pub policy: Policy,
    /// It has an undo.
    pub undoable: bool,
    /// It can be asked whether an unknown attempt took effect.
    pub verifiable: bool,
    /// Its SQL commits together with its outcome, so that it is never unknown.
    pub transactional: bool,
    /// Its `run` changes nothing.
    pub read_only: bool,
    /// The queue whose workers execute it; `None`: the run's.
    pub queue: Option<&'static str>,
    /// What it takes and gives, where its author says it. Made when asked for: the hot path clones what is here.
    pub schema: fn() -> Schema,
}

impl ActivityMeta {
    /// Whether an attempt is made in the transaction that records it.
    pub fn is_in_transaction(&self, direction: Direction) -> bool {
        self.transactional && !self.only_reads(direction)
    }

    /// Whether an attempt changes nothing.
    pub fn only_reads(&self, direction: Direction) -> bool {
        self.read_only && direction == Direction::Forward
    }

    /// Whether an attempt that does not end well certainly had no effect.
    pub fn is_certain(&self, direction: Direction) -> bool {
        self.transactional || self.only_reads(direction)
    }

    /// Whether an attempt has to be on record before it is made.
    pub fn needs_intent(&self, direction: Direction) -> bool {
        direction == Direction::Undo || (!self.is_certain(direction) && (self.undoable || self.verifiable))
    }
}

/// Looks activities up by name.
pub trait Catalog: Send + Sync {
    /// What is known of the activity; `None` where it is not registered here.
    fn activity(&self, name: &str) -> Option<&ActivityMeta>;
}
