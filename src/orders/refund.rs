//! Refund tiers: the refund percentage for a customer who cancels, by the age of the order.
//!
//! `10m:70,30m:40` means: 70 per cent before 10 minutes, 40 per cent before 30 minutes, then no cancelling. Each tier's
//! age is exclusive. Pure: ages come from the database.

use std::{fmt, str::FromStr, time::Duration};

/// One tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The tier applies up to this age, exclusive.
    pub until: Duration,
    /// The refund, in basis points of the captured amount.
    pub bp: u32,
}

/// The tiers of an order, youngest first. Without any, the customer can't cancel a placed order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RefundTiers(Vec<Tier>);

/// Tiers that can't be read; the message says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refund tiers {text:?}: {why}; write them as 10m:70,30m:40")]
pub struct BadTiers {
    text: String,
    why: String,
}

impl RefundTiers {
    /// The refund at this age of the order, in basis points; `None`: the window is closed.
    pub fn at(&self, age: Duration) -> Option<u32> {
        self.0.iter().find(|tier| age < tier.until).map(|tier| tier.bp)
    }

    /// How long after placing an order its customer can cancel it.
    pub fn window(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |tier| tier.until)
    }

    /// The tiers, youngest first.
    pub fn tiers(&self) -> &[Tier] {
        &self.0
    }
}

impl FromStr for RefundTiers {
    type Err = BadTiers;

    fn from_str(text: &str) -> Result<Self, BadTiers> {
        let bad = |why: String| BadTiers { text: text.to_owned(), why };
        let mut tiers: Vec<Tier> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (until, percent) = part.split_once(':').ok_or_else(|| bad(format!("{part:?} has no colon")))?;
            let until = humantime::parse_duration(until.trim()).map_err(|error| bad(format!("{until:?}: {error}")))?;
            let bp = basis_points(percent.trim())
                .ok_or_else(|| bad(format!("{percent:?} is not a percentage from 0 to 100, at most two decimals")))?;
            if until.is_zero() || tiers.last().is_some_and(|last| last.until >= until) {
                return Err(bad(format!("{} is not later than the tier before", humantime::format_duration(until))));
            }
            tiers.push(Tier { until, bp });
        }
        Ok(Self(tiers))
    }
}

/// `70` or `33.25` as basis points. By hand, because a float has no place near money.
fn basis_points(percent: &str) -> Option<u32> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let bp = whole.parse::<u32>().ok()? * 100 + format!("{decimals:0<2}").parse::<u32>().ok()?;
    (bp <= super::money::WHOLE_BP).then_some(bp)
}

impl fmt::Display for RefundTiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, tier) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let until = humantime::format_duration(tier.until).to_string().replace(' ', "");
            write!(f, "{comma}{until}:{}", tier.bp / 100)?;
            if tier.bp % 100 != 0 {
                write!(f, ".{:02}", tier.bp % 100)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiers(text: &str) -> RefundTiers {
        text.parse().expect("good tiers")
    }

    #[test]
    fn a_tier_ends_before_its_limit() {
        let tiers = tiers("10m:70,30m:40");
        let minutes = |m: u64| Duration::from_secs(m * 60);
        let instant = Duration::from_nanos(1);
        assert_eq!(tiers.at(Duration::ZERO), Some(7000));
        assert_eq!(tiers.at(minutes(10) - instant), Some(7000));
        assert_eq!(tiers.at(minutes(10)), Some(4000));
        assert_eq!(tiers.at(minutes(30) - instant), Some(4000));
        assert_eq!(tiers.at(minutes(30)), None);
        assert_eq!(tiers.window(), minutes(30));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["10m:70,30m:40", "", "1500ms:99.5", "1h30m:0,2days:33.25"] {
            let once = tiers(text);
            assert_eq!(tiers(&once.to_string()), once, "{text}");
        }
        assert_eq!(tiers("10m:70,30m:40").to_string(), "10m:70,30m:40");
        assert_eq!(tiers("").at(Duration::ZERO), None);
    }

    #[test]
    fn tiers_that_make_no_sense_are_refused() {
        for text in ["10m", "10m:", "10m:101", "10m:-1", "10m:70.123", "30m:40,10m:70", "10m:70,10m:40", "x:1", "0s:5"]
        {
            assert!(text.parse::<RefundTiers>().is_err(), "{text}");
        }
    }
}
