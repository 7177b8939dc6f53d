//! Which numbers committed events get. Pure: the store reads what can be seen, and writes what comes out.
//!
//! Positions are drawn as events are written, and become visible as their transactions commit: in another order. What is
//! visible is numbered at once, in the order of positions, and what was passed over is remembered as a gap until it comes, or
//! never will.

/// How far numbering has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last number that was given.
    pub(crate) last: i64,
    /// The highest position that was seen.
    pub(crate) high: i64,
}

/// Positions that were passed over, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) start: i64,
    pub(crate) stop: i64,
    /// All transactions that may have drawn them are older than this one.
    pub(crate) until: i64,
}

/// Events whose positions follow each other: the one at `start` has the number `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) start: i64,
}

/// What one snapshot shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visible {
    /// Positions within the gaps, in order.
    pub(crate) late: Vec<i64>,
    /// There may be more of them, behind the last.
    pub(crate) late_cut: bool,
    /// Positions above the highest that was seen, in order; perhaps not all.
    pub(crate) fresh: Vec<i64>,
    /// The oldest transaction that is still open.
    pub(crate) oldest_open: i64,
    /// Transactions from here on had not begun.
    pub(crate) not_begun: i64,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) head: Head,
    pub(crate) ranges: Vec<Range>,
    /// Gaps that are no more, by where they start.
    pub(crate) closed: Vec<i64>,
    /// Gaps that are new, or end elsewhere than before.
    pub(crate) gaps: Vec<Gap>,
}

impl Numbering {
    /// Whether there is nothing to write.
    pub(crate) const fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.closed.is_empty() && self.gaps.is_empty()
    }

    /// How many events got a number.
    pub(crate) const fn count(&self, before: Head) -> i64 {
        self.head.last.saturating_sub(before.last)
    }
}

/// Numbers what is visible.
pub(crate) fn number(before: Head, gaps: &[Gap], visible: &Visible) -> Numbering {
    // Of a subject, what comes late goes before what came after it: while not all late ones are at hand, no fresh one is numbered.
    let fresh = if visible.late_cut { &[] } else { visible.fresh.as_slice() };
    let mut numbering = Numbering { head: before, ranges: Vec::new(), closed: Vec::new(), gaps: Vec::new() };
    for gap in gaps {
        numbering.look_into(*gap, visible);
    }
    for position in visible.late.iter().chain(fresh) {
        numbering.give(*position);
    }
    for position in fresh {
        let expected = numbering.head.high.saturating_add(1);
        if *position > expected {
            let stop = position.saturating_sub(1);
            numbering.gaps.push(Gap { start: expected, stop, until: visible.not_begun });
        }
        numbering.head.high = *position;
    }
    numbering
}

impl Numbering {
    /// Keeps of a gap what may still come.
    fn look_into(&mut self, gap: Gap, visible: &Visible) {
        let from = visible.late.partition_point(|position| *position < gap.start);
        let to = visible.late.partition_point(|position| *position <= gap.stop);
        let looked_to = if visible.late_cut { visible.late.last().copied().unwrap_or(i64::MIN) } else { i64::MAX };
        let mut rest = Vec::new();
        let mut keep = |start: i64, stop: i64| {
            let never_comes = gap.until <= visible.oldest_open && stop <= looked_to;
            if start <= stop && !never_comes {
                rest.push(Gap { start, stop, ..gap });
            }
        };
        let mut start = gap.start;
        for position in visible.late.get(from..to).unwrap_or_default() {
            keep(start, position.saturating_sub(1));
            start = position.saturating_add(1);
        }
        keep(start, gap.stop);
        if rest == [gap] {
            return;
        }
        if rest.first().is_none_or(|first| first.start != gap.start) {
            self.closed.push(gap.start);
        }
        self.gaps.extend(rest);
    }

    /// Gives an event the next number.
    fn give(&mut self, position: i64) {
        self.head.last = self.head.last.saturating_add(1);
        let next = self.head.last;
        match self.ranges.last_mut() {
            Some(range)
                if range.start.saturating_add(range.last.saturating_sub(range.first)) == position.saturating_sub(1) =>
            {
                range.last = next;
            }
            _ => self.ranges.push(Range { first: next, last: next, start: position }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// A database of events: transactions draw positions, and end in any order.
    #[derive(Default)]
    struct Writers {
        next_position: i64,
        next_writer: i64,
        open: BTreeMap<i64, Vec<i64>>,
        visible: BTreeSet<i64>,
    }

    /// What happens next; numbers pick one of those that are open.
    #[derive(Clone, Debug)]
    enum Move {
        Begin,
        Draw(usize),
        Commit(usize),
        RollBack(usize),
        Number(usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            2 => Just(Move::Begin),
            4 => any::<usize>().prop_map(Move::Draw),
            2 => any::<usize>().prop_map(Move::Commit),
            1 => any::<usize>().prop_map(Move::RollBack),
            3 => (1..4_usize).prop_map(Move::Number),
        ];
        prop::collection::vec(one, 0..120)
    }

    struct Table {
        head: Head,
        gaps: BTreeMap<i64, Gap>,
        ranges: Vec<Range>,
    }

    impl Writers {
        fn pick(&self, which: usize) -> Option<i64> {
            self.open.keys().nth(which % self.open.len().max(1)).copied()
        }

        fn see(&self, table: &Table, at_most: usize) -> Visible {
            let in_gap = |p: &i64| table.gaps.values().any(|gap| (gap.start..=gap.stop).contains(p));
            let late: Vec<i64> = self.visible.iter().copied().filter(in_gap).take(at_most).collect();
            Visible {
                late_cut: late.len() == at_most,
                late,
                fresh: self.visible.range(table.head.high + 1..).copied().take(at_most).collect(),
                oldest_open: self.open.keys().next().copied().unwrap_or(self.next_writer),
                not_begun: self.next_writer,
            }
        }
    }

    impl Table {
        fn write(&mut self, numbering: Numbering) {
            self.gaps.retain(|start, _| !numbering.closed.contains(start));
            self.gaps.extend(numbering.gaps.iter().map(|gap| (gap.start, *gap)));
            self.ranges.extend(numbering.ranges);
            self.head = numbering.head;
        }

        fn numbered(&self) -> Vec<(i64, i64)> {
            let each = |range: &Range| {
                let (first, start) = (range.first, range.start);
                (first..=range.last).map(move |number| (number, start + number - first))
            };
            self.ranges.iter().flat_map(each).collect()
        }
    }

    proptest! {
        #[test]
        fn each_committed_event_gets_one_number_without_waiting(moves in moves()) {
            let mut writers = Writers { next_position: 1, next_writer: 1, ..Writers::default() };
            let mut table = Table { head: Head { last: 0, high: 0 }, gaps: BTreeMap::new(), ranges: Vec::new() };
            for step in moves {
                match step {
                    Move::Begin => {
                        writers.open.insert(writers.next_writer, Vec::new());
                        writers.next_writer += 1;
                    }
                    Move::Draw(which) => if let Some(writer) = writers.pick(which) {
                        writers.open.entry(writer).or_default().push(writers.next_position);
                        writers.next_position += 1;
                    },
                    Move::Commit(which) => if let Some(writer) = writers.pick(which) {
                        writers.visible.extend(writers.open.remove(&writer).unwrap_or_default());
                    },
                    Move::RollBack(which) => if let Some(writer) = writers.pick(which) {
                        drop(writers.open.remove(&writer));
                    },
                    Move::Number(at_most) => {
                        let gaps: Vec<Gap> = table.gaps.values().copied().collect();
                        table.write(number(table.head, &gaps, &writers.see(&table, at_most)));
                    }
                }
            }
            // Open transactions stay open: they hold nobody up. Two turns without limits reach all that is committed.
            for _ in 0..2 {
                let gaps: Vec<Gap> = table.gaps.values().copied().collect();
                table.write(number(table.head, &gaps, &writers.see(&table, usize::MAX)));
            }
            let numbered = table.numbered();
            let positions: BTreeSet<i64> = numbered.iter().map(|(_, position)| *position).collect();
            prop_assert_eq!(positions.len(), numbered.len(), "each once");
            prop_assert_eq!(&positions, &writers.visible);
            prop_assert!(numbered.iter().map(|(number, _)| *number).eq(1..=table.head.last), "without a hole");
            for (writer, drawn) in &writers.open {
                for position in drawn.iter().filter(|position| **position < table.head.high) {
                    let covered = table.gaps.values().any(|gap| (gap.start..=gap.stop).contains(position));
                    prop_assert!(covered, "{} of {} may still come", position, writer);
                }
            }
            // Those that will never come are not looked for any longer.
            if writers.open.is_empty() {
                prop_assert!(table.gaps.len() <= 1 || !table.gaps.values().any(|gap| gap.until < writers.next_writer));
            }
        }
    }
}
