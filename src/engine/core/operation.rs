//! The rules of bulk operations: how they begin, pause and end, and how fast they go.

use std::time::Duration;

use super::words::words;

/// Runs a second, unless said otherwise.
pub const DEFAULT_RATE: u32 = 50;

/// The highest rate that can be asked for.
pub const HIGHEST_RATE: u32 = 10_000;

words! {
    /// How a bulk operation stands.
    OperationStatus, "status" {
        /// Nothing was done yet.
        Pending = "pending",
        /// It goes through its runs.
        Running = "running",
        /// An operator has stopped it for now.
        Paused = "paused",
        /// It has been through all its runs.
        Completed = "completed",
        /// An operator has ended it; what was done stays done.
        Cancelled = "cancelled",
    }
}

/// What happens to a bulk operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationChange {
    /// A process takes it up.
    Begin,
    /// An operator stops it for now.
    Pause,
    /// An operator lets it go on.
    Resume,
    /// An operator ends it.
    Cancel,
    /// No run is left.
    Complete,
}

impl OperationStatus {
    /// Whether nothing more becomes of it.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }

    /// The status after a change; the same one again is safe to ask for. None: the status doesn't allow it.
    pub const fn after(self, change: OperationChange) -> Option<Self> {
        use OperationChange as C;
        Some(match (self, change) {
            (Self::Pending | Self::Running, C::Begin | C::Resume) => Self::Running,
            (Self::Pending | Self::Running | Self::Paused, C::Pause) => Self::Paused,
            (Self::Paused, C::Resume) => Self::Running,
            (Self::Pending | Self::Running | Self::Paused | Self::Cancelled, C::Cancel) => Self::Cancelled,
            (Self::Running, C::Complete) => Self::Completed,
            _ => return None,
        })
    }
}

impl OperationChange {
    /// The operator's word for it; none for what no operator does.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Complete => "complete",
        }
    }
}

/// How many runs may have been begun this long after the start of a turn: the first at once, the others evenly after it.
pub fn allowed(rate: u32, since: Duration) -> u64 {
    let rate = u64::from(rate.clamp(1, HIGHEST_RATE));
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    1 + millis.saturating_mul(rate) / 1_000
}

/// How long a turn lasts: long enough for whatever it began with to be within the rate, and at least a second, for the
/// slowest rate has one run in it.
pub fn turn(rate: u32, begun: u64) -> Duration {
    let rate = u64::from(rate.clamp(1, HIGHEST_RATE));
    Duration::from_millis(begun.saturating_mul(1_000).div_ceil(rate)).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_runs_than_its_rate() {
        for rate in [1, 3, 50, 999, HIGHEST_RATE] {
            // Turns follow each other, each as long as what it began takes.
            let (mut at, mut begins) = (Duration::ZERO, Vec::new());
            for _ in 0..3 {
                let mut begun = 0;
                for ms in 0..1_000 {
                    let since = Duration::from_millis(ms);
                    while begun < allowed(rate, since) {
                        begins.push(at + since);
                        begun += 1;
                    }
                }
                at += turn(rate, begun);
            }
            for (first, begin) in begins.iter().enumerate() {
                let within = begins.partition_point(|other| *other < *begin + Duration::from_secs(1)) - first;
                assert!(within as u32 <= rate + 1, "{within} in a second at {rate}");
            }
            // The look at the last millisecond of a turn leaves that one's share out.
            let least = 3 * (rate - rate / 1_000);
            assert!(begins.len() as u32 >= least, "{} in three turns at {rate}", begins.len());
        }
    }

    #[test]
    fn an_ended_operation_stays_ended() {
        use OperationChange as C;
        for change in [C::Begin, C::Pause, C::Resume, C::Complete] {
            assert_eq!(OperationStatus::Completed.after(change), None);
            assert_eq!(OperationStatus::Cancelled.after(change), None);
        }
        assert_eq!(OperationStatus::Completed.after(C::Cancel), None);
        for (status, change) in [
            (OperationStatus::Paused, C::Pause),
            (OperationStatus::Running, C::Resume),
            (OperationStatus::Cancelled, C::Cancel),
        ] {
            assert_eq!(status.after(change), Some(status));
        }
        assert_eq!(OperationStatus::Paused.after(C::Begin), None);
    }
}
