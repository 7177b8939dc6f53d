//! Whether a worker may judge the silence of others. Silence counts only while it could have been broken: after an outage of
//! the database, or of the way to it, everybody is silent, and the first to be back would declare all others dead.

use std::time::{Duration, Instant};

/// A gap between two answers that is shorter than this comes from a busy machine.
const SHORTEST_GAP: Duration = Duration::from_secs(2);

/// Since when this worker has been hearing from the database without a gap.
pub(super) struct Watch {
    after: Duration,
    gap: Duration,
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Watch {
    /// For lanes that are dead when they are silent for `after`.
    pub(super) fn new(after: Duration) -> Self {
        Self { after, gap: (after / 2).max(SHORTEST_GAP), since: None, last: None }
    }

    /// The database has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        let gap = self.last.is_none_or(|last| now.duration_since(last) > self.gap);
        if gap {
            self.since = Some(now);
        }
        self.last = Some(now);
    }

    /// Whether it has been listening for so long that a lane which lives would have been heard.
    pub(super) fn may_judge(&self) -> bool {
        let listened = self.since.zip(self.last).map(|(since, last)| last.duration_since(since));
        listened.is_some_and(|listened| listened >= self.after)
            && self.last.is_some_and(|last| last.elapsed() <= self.gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_judged_after_listening_without_a_gap() {
        let (mut watch, second) = (Watch::new(Duration::from_secs(10)), Duration::from_secs(1));
        let Some(begin) = Instant::now().checked_sub(30 * second) else { return };
        assert!(!watch.may_judge(), "it has heard nothing yet");
        (0..=9).for_each(|at| watch.answered(begin + at * second));
        assert!(!watch.may_judge(), "it has not listened for long enough");
        (10..=14).for_each(|at| watch.answered(begin + at * second));
        watch.answered(begin + 21 * second);
        assert!(!watch.may_judge(), "nobody could be heard for a while");
        (22..=30).for_each(|at| watch.answered(begin + at * second));
        assert!(!watch.may_judge(), "it has not listened for long enough since then");
        watch.answered(begin + 31 * second);
        assert!(watch.may_judge());
    }
}
