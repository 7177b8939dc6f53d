//! Which attempts go together: those of one activity and direction that wait while others are under way. Nobody waits for a
//! group to fill; at low load each goes alone.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::model::{Direction, RunId};

/// Attempts that may share a group have the same of all this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The activity.
    pub activity: Arc<str>,
    /// Forward or undo.
    pub direction: Direction,
    /// How long an attempt may take: one that is cut short by a deadline goes with its like.
    pub timeout: Duration,
}

/// Groups that may be under way.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// In all.
    pub in_all: usize,
    /// Of one kind: few, so that what comes meanwhile makes the next one.
    pub of_a_kind: usize,
}

/// Attempts in one group at most.
pub const AT_ONCE: usize = 200;

/// A group to begin now: attempts of a run each, oldest first.
pub type Members<T> = Vec<(RunId, T)>;

/// What waits and what is under way.
#[derive(Debug)]
pub struct Grouping<T> {
    bounds: Bounds,
    waiting: Vec<(Kind, VecDeque<Waiting<T>>)>,
    /// A run is in one group at a time: its next decision waits for the commit of the last, so two groups could each wait for a
    /// run that is waiting for the other.
    busy: HashSet<RunId>,
    under_way: Vec<Kind>,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    arrival: u64,
    run: RunId,
    item: T,
}

impl<T> Grouping<T> {
    /// Nothing waits.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, waiting: Vec::new(), busy: HashSet::new(), under_way: Vec::new(), arrivals: 0 }
    }

    /// An attempt is due.
    pub fn add(&mut self, kind: Kind, run: RunId, item: T) {
        self.arrivals = self.arrivals.wrapping_add(1);
        let waiting = Waiting { arrival: self.arrivals, run, item };
        match self.waiting.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, queue)) => queue.push_back(waiting),
            None => self.waiting.push((kind, VecDeque::from([waiting]))),
        }
    }

    /// The next group, if one may begin: of the kind whose first has waited longest.
    pub fn take(&mut self) -> Option<(Kind, Members<T>)> {
        if self.under_way.len() >= self.bounds.in_all.max(1) {
            return None;
        }
        let candidates = self.waiting.iter().enumerate().filter_map(|(at, (kind, queue))| {
            let of_a_kind = self.under_way.iter().filter(|other| *other == kind).count();
            let may_begin = of_a_kind < self.bounds.of_a_kind.max(1);
            let first = queue.iter().find(|one| !self.busy.contains(&one.run)).filter(|_| may_begin)?;
            Some((first.arrival, at))
        });
        let (_, at) = candidates.min()?;
        let (kind, queue) = self.waiting.get_mut(at)?;
        let kind = kind.clone();
        let mut members = Vec::with_capacity(queue.len().min(AT_ONCE));
        for one in std::mem::take(queue) {
            if members.len() < AT_ONCE && self.busy.insert(one.run) {
                members.push((one.run, one.item));
            } else {
                queue.push_back(one);
            }
        }
        if queue.is_empty() {
            self.waiting.swap_remove(at);
        }
        self.under_way.push(kind.clone());
        Some((kind, members))
    }

    /// A group has ended.
    pub fn end(&mut self, kind: &Kind, runs: &[RunId]) {
        for run in runs {
            self.busy.remove(run);
        }
        if let Some(at) = self.under_way.iter().position(|other| other == kind) {
            self.under_way.swap_remove(at);
        }
    }
}

/// Why a group came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setback {
    /// A conflict, or the database is in trouble: the same may go well.
    Passes,
    /// One of it may be to blame.
    Refused,
    /// It took too long, or can't be told from one another: each has to show by itself.
    Unclear,
}

/// What to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same again.
    Again,
    /// Each half by itself.
    Halves,
    /// Each by itself, beside each other.
    Singles,
}

/// What to do with a group of `members` after its `tries`th setback.
pub const fn after_setback(members: usize, tries: u32, setback: Setback) -> Next {
    match (members, setback) {
        (0 | 1, _) => Next::Singles,
        (_, Setback::Passes) if tries < 3 => Next::Again,
        (_, Setback::Refused) => Next::Halves,
        (_, Setback::Passes | Setback::Unclear) => Next::Singles,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn kind(activity: u8) -> Kind {
        let activity = format!("a{activity}").into();
        Kind { activity, direction: Direction::Forward, timeout: Duration::from_secs(1) }
    }

    const BOUNDS: Bounds = Bounds { in_all: 5, of_a_kind: 2 };

    fn run(n: u128) -> RunId {
        Uuid::from_u128(n)
    }

    fn runs<T>(members: &Members<T>) -> Vec<RunId> {
        members.iter().map(|(run, _)| *run).collect()
    }

    #[test]
    fn what_waits_meanwhile_is_the_next_group() {
        let mut grouping = Grouping::new(BOUNDS);
        let mut begun = Vec::new();
        for n in 0..500 {
            grouping.add(kind(0), run(n), n);
            begun.extend(grouping.take());
        }
        assert_eq!(begun.iter().map(|(_, members)| members.len()).collect::<Vec<_>>(), [1, 1], "the first go at once");
        grouping.add(kind(1), run(500), 500);
        let (other, _) = grouping.take().expect("another kind does not wait for these");
        assert_eq!(other, kind(1));
        let (ended, members) = begun.swap_remove(0);
        grouping.end(&ended, &runs(&members));
        let (_, members) = grouping.take().expect("one may begin");
        assert_eq!(members.len(), AT_ONCE);
        assert_eq!(members.first().map(|(_, n)| *n), Some(2), "the oldest first");
        assert!(grouping.take().is_none());
    }

    #[test]
    fn a_setback_is_narrowed_down_to_single_ones() {
        for setback in [Setback::Passes, Setback::Refused, Setback::Unclear] {
            let (mut members, mut tries, mut rounds) = (AT_ONCE, 0, 0);
            loop {
                match after_setback(members, tries, setback) {
                    Next::Again => tries += 1,
                    Next::Halves => members /= 2,
                    Next::Singles => break,
                }
                rounds += 1;
            }
            assert!(rounds < 10, "{setback:?}");
        }
    }

    proptest! {
        /// Whatever comes in whatever order: each once, a run in one group at a time, within the bounds; and what waits is
        /// not left waiting while nothing is under way.
        #[test]
        fn each_attempt_is_in_one_group(
            comes in prop::collection::vec((0..4_u8, 0..40_u128), 1..300),
            ends in prop::collection::vec(any::<prop::sample::Index>(), 600),
        ) {
            let mut grouping = Grouping::new(BOUNDS);
            let (mut under_way, mut seen) = (Vec::<(Kind, Members<usize>)>::new(), HashSet::new());
            let (mut ends, count) = (ends.into_iter(), comes.len());
            let mut comes = comes.into_iter().enumerate();
            while seen.len() < count || !under_way.is_empty() {
                if let Some((n, (activity, of))) = comes.next() {
                    grouping.add(kind(activity), run(of), n);
                }
                while let Some((kind, members)) = grouping.take() {
                    prop_assert!(!members.is_empty() && members.len() <= AT_ONCE);
                    for (_, n) in &members {
                        prop_assert!(seen.insert(*n), "{n} twice");
                    }
                    under_way.push((kind, members));
                }
                let mut busy: Vec<RunId> = under_way.iter().flat_map(|(_, members)| runs(members)).collect();
                let all = busy.len();
                busy.sort_unstable();
                busy.dedup();
                prop_assert_eq!(busy.len(), all, "a run is in two groups");
                let most = under_way.iter().map(|(kind, _)| under_way.iter().filter(|(other, _)| other == kind).count());
                prop_assert!(under_way.len() <= BOUNDS.in_all && most.max().unwrap_or(0) <= BOUNDS.of_a_kind);
                if under_way.is_empty() {
                    prop_assert!(comes.len() > 0 || seen.len() == count, "it waits for nothing");
                    continue;
                }
                let Some(which) = ends.next() else { break };
                let (kind, members) = under_way.swap_remove(which.index(under_way.len()));
                grouping.end(&kind, &runs(&members));
            }
        }
    }
}
