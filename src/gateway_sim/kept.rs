//! What the ledger keeps, and which of it has changed.

use std::collections::{BTreeMap, BTreeSet};

/// Things by id, in the order in which they came, and which of them have changed since they were last written.
#[derive(Debug)]
pub(super) struct Kept<T> {
    by_id: BTreeMap<String, T>,
    order: Vec<String>,
    changed: BTreeSet<String>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), order: Vec::new(), changed: BTreeSet::new() }
    }
}

impl<T: Clone> Kept<T> {
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        let found = self.by_id.get_mut(id)?;
        self.changed.insert(id.to_owned());
        Some(found)
    }

    pub(super) fn insert(&mut self, id: &str, item: T) {
        self.changed.insert(id.to_owned());
        if self.by_id.insert(id.to_owned(), item).is_none() {
            self.order.push(id.to_owned());
        }
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().filter_map(|id| self.by_id.get(id))
    }

    /// What has changed since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<T> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|id| self.by_id.get(id).cloned()).collect()
    }
}
