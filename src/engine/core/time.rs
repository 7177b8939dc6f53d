//! Times and spans without an overflow: `+` and `-` of the standard library and of chrono panic where the result has no form.
//!
//! A moment lies between the years 1 and 9999: what RFC 3339 can write and Postgres can hold. A span that leads beyond ends
//! there, and none is longer than a thousand years: `sleep(Duration::MAX)` is a wait that nobody sees the end of.
//! Clippy (`arithmetic_side_effects`, see clippy.toml) refuses the operators in this crate.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::model::Time;

/// The longest span that counts: a thousand years.
pub const LONGEST: Duration = Duration::from_secs(1_000 * 31_556_952);

/// The first moment of the year 1.
pub const EARLIEST: Time = at(-62_135_596_800);

/// The last second of the year 9999.
pub const LATEST: Time = at(253_402_300_799);

const fn at(second: i64) -> Time {
    match DateTime::<Utc>::from_timestamp(second, 0) {
        Some(at) => at,
        None => DateTime::UNIX_EPOCH,
    }
}

/// What can be done with a moment.
pub trait Moment: Sized {
    /// This much later.
    fn later(self, span: Duration) -> Self;
    /// This much earlier.
    fn earlier(self, span: Duration) -> Self;
    /// How long after `before`; nothing where it is not.
    fn since(self, before: Self) -> Duration;
    /// The nearest moment that has a form everywhere.
    fn bounded(self) -> Self;
}

impl Moment for Time {
    fn later(self, span: Duration) -> Self {
        self.checked_add_signed(delta(span)).unwrap_or(LATEST).bounded()
    }

    fn earlier(self, span: Duration) -> Self {
        self.checked_sub_signed(delta(span)).unwrap_or(EARLIEST).bounded()
    }

    fn since(self, before: Self) -> Duration {
        self.signed_duration_since(before).to_std().unwrap_or_default()
    }

    fn bounded(self) -> Self {
        self.clamp(EARLIEST, LATEST)
    }
}

fn delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span.min(LONGEST)).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_moment_and_no_span_panic(second in any::<i64>(), seconds in any::<u64>(), nanos in 0..1_000_000_000_u32) {
            let moment = DateTime::from_timestamp(second % 8_000_000_000_000, nanos).unwrap_or(DateTime::<Utc>::MAX_UTC);
            let span = Duration::new(seconds, nanos);
            for moment in [moment, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                for moved in [moment.later(span), moment.earlier(span), moment.bounded()] {
                    prop_assert!((EARLIEST..=LATEST).contains(&moved));
                    prop_assert_eq!(moved.to_rfc3339().parse::<Time>(), Ok(moved));
                }
                prop_assert!(moment.later(span) >= moment.bounded() || moment > LATEST);
                prop_assert_eq!(DateTime::<Utc>::MIN_UTC.since(moment), Duration::ZERO);
            }
        }
    }

    #[test]
    fn short_spans_are_exact() {
        let (moment, span) = (DateTime::UNIX_EPOCH, Duration::from_millis(1_500));
        assert_eq!(moment.later(span).timestamp_millis(), 1_500);
        assert_eq!(moment.earlier(span).timestamp_millis(), -1_500);
        assert_eq!(moment.later(span).since(moment), span);
        assert_eq!(moment.later(Duration::MAX), moment.later(LONGEST));
    }
}
