//! Which attempts go together: those of one activity and direction that wait while others are under way. Nobody waits for a
//! group to fill; at low load each goes alone.
//!
//! Few groups at a time are large ones: they fill while others are under way. One that takes long, by its own work or by a lock
//! that it waits for, no longer counts as one of the few, so that others go on beside it. What waits for a full group waits for
//! nothing else.

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
    /// Of those that have not taken long so far.
    pub quick: usize,
    /// Of one kind: few, so that what comes meanwhile makes the next one.
    pub of_a_kind: usize,
}

/// Attempts in one group at most.
pub const AT_ONCE: usize = 200;

/// Attempts of a run each, oldest first.
pub type Members<T> = Vec<(RunId, T)>;

/// A group to begin now.
#[derive(Debug)]
pub struct Group<T> {
    /// By which it is known while it is under way.
    pub number: u64,
    /// What its members have in common.
    pub kind: Kind,
    /// Its members.
    pub members: Members<T>,
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    kind: Kind,
    is_slow: bool,
}

/// What waits and what is under way.
#[derive(Debug)]
pub struct Grouping<T> {
    bounds: Bounds,
    waiting: Vec<(Kind, VecDeque<Waiting<T>>)>,
    /// A run is in one group at a time: its next decision waits for the commit of the last, so two groups could each wait for a
    /// run that is waiting for the other.
    busy: HashSet<RunId>,
    under_way: Vec<UnderWay>,
    arrivals: u64,
    begun: u64,
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
        Self { bounds, waiting: Vec::new(), busy: HashSet::new(), under_way: Vec::new(), arrivals: 0, begun: 0 }
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
    pub fn take(&mut self) -> Option<Group<T>> {
        let quick = self.under_way.iter().filter(|group| !group.is_slow).count();
        if self.under_way.len() >= self.bounds.in_all.max(1) {
            return None;
        }
        let few = quick < self.bounds.quick.max(1);
        let candidates = self.waiting.iter().enumerate().filter_map(|(at, (kind, queue))| {
            let of_a_kind = self.under_way.iter().filter(|group| group.kind == *kind).count();
            let may_begin = of_a_kind < self.bounds.of_a_kind.max(1) && (few || queue.len() >= AT_ONCE);
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
        self.begun = self.begun.wrapping_add(1);
        let number = self.begun;
        self.under_way.push(UnderWay { number, kind: kind.clone(), is_slow: false });
        Some(Group { number, kind, members })
    }

    /// A group takes long.
    pub fn is_slow(&mut self, number: u64) {
        self.under_way.iter_mut().filter(|group| group.number == number).for_each(|group| group.is_slow = true);
    }

    /// A group has ended.
    pub fn end(&mut self, number: u64, runs: &[RunId]) {
        for run in runs {
            self.busy.remove(run);
        }
        self.under_way.retain(|group| group.number != number);
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

    const BOUNDS: Bounds = Bounds { in_all: 5, quick: 3, of_a_kind: 2 };

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
        let sizes = begun.iter().map(|group| group.members.len()).collect::<Vec<_>>();
        assert_eq!(sizes, [1, 1], "the first go at once");
        grouping.add(kind(1), run(500), 500);
        let other = grouping.take().expect("another kind does not wait for these");
        assert_eq!(other.kind, kind(1));
        let ended = begun.swap_remove(0);
        grouping.end(ended.number, &runs(&ended.members));
        let Group { members, .. } = grouping.take().expect("one may begin");
        assert_eq!(members.len(), AT_ONCE);
        assert_eq!(members.first().map(|(_, n)| *n), Some(2), "the oldest first");
        assert!(grouping.take().is_none());
    }

    #[test]
    fn groups_that_take_long_hold_up_no_other_kind() {
        let mut grouping = Grouping::new(BOUNDS);
        for n in 0..6 {
            grouping.add(kind(n), run(n.into()), n);
        }
        let few: Vec<_> = std::iter::from_fn(|| grouping.take()).collect();
        assert_eq!(few.len(), BOUNDS.quick);
        few.iter().for_each(|group| grouping.is_slow(group.number));
        let more: Vec<_> = std::iter::from_fn(|| grouping.take()).collect();
        assert_eq!(more.len(), BOUNDS.in_all - BOUNDS.quick, "as many as there are connections");
        grouping.end(more[0].number, &runs(&more[0].members));
        assert!(grouping.take().is_some() && grouping.take().is_none());
    }

    #[test]
    fn a_full_group_waits_for_no_other() {
        let mut grouping = Grouping::new(BOUNDS);
        let mut begun = Vec::new();
        for n in 0..4 {
            grouping.add(kind(n), run(n.into()), n);
            begun.extend(grouping.take());
        }
        assert_eq!(begun.len(), BOUNDS.quick);
        for n in 10..9 + AT_ONCE as u128 {
            grouping.add(kind(3), run(n), 3);
            assert_eq!(grouping.take().is_some(), n == 8 + AT_ONCE as u128, "{n}");
        }
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
            let (mut under_way, mut seen) = (Vec::<Group<usize>>::new(), HashSet::new());
            let (mut ends, count) = (ends.into_iter(), comes.len());
            let mut comes = comes.into_iter().enumerate();
            while seen.len() < count || !under_way.is_empty() {
                if let Some((n, (activity, of))) = comes.next() {
                    grouping.add(kind(activity), run(of), n);
                }
                while let Some(group) = grouping.take() {
                    prop_assert!(!group.members.is_empty() && group.members.len() <= AT_ONCE);
                    for (_, n) in &group.members {
                        prop_assert!(seen.insert(*n), "{n} twice");
                    }
                    if group.number % 3 == 0 {
                        grouping.is_slow(group.number);
                    }
                    under_way.push(group);
                }
                let mut busy: Vec<RunId> = under_way.iter().flat_map(|group| runs(&group.members)).collect();
                let all = busy.len();
                busy.sort_unstable();
                busy.dedup();
                prop_assert_eq!(busy.len(), all, "a run is in two groups");
                let of_kind = |kind: &Kind| under_way.iter().filter(|group| group.kind == *kind).count();
                prop_assert!(under_way.iter().all(|group| of_kind(&group.kind) <= BOUNDS.of_a_kind));
                let quick = under_way.iter().filter(|group| group.number % 3 != 0).count();
                let full = under_way.iter().filter(|group| group.members.len() == AT_ONCE).count();
                prop_assert!(under_way.len() <= BOUNDS.in_all && quick <= BOUNDS.quick + full);
                if under_way.is_empty() {
                    prop_assert!(comes.len() > 0 || seen.len() == count, "it waits for nothing");
                    continue;
                }
                let Some(which) = ends.next() else { break };
                let ended = under_way.swap_remove(which.index(under_way.len()));
                grouping.end(ended.number, &runs(&ended.members));
            }
        }
    }
}
