//! How often and how long a step is tried, and how its undo is.
//!
//! The default is the contract's: 8 attempts, from 250 ms, doubled, at most 15 s apart (about a minute), the undo's the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When an attempt that had no effect, or an unknown one, is made again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// The wait before the second attempt.
    pub first: Duration,
    /// What each wait is multiplied by for the next one.
    pub factor: f64,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 8, first: Duration::from_millis(250), factor: 2.0, longest: Duration::from_secs(15) }
    }
}

impl Retry {
    /// One attempt, no more.
    pub const NEVER: Self = Self { max_attempts: 1, first: Duration::ZERO, factor: 1.0, longest: Duration::ZERO };

    /// The wait after `attempts` attempts. `jitter` in [0, 1) takes up to a fifth off, so that runs that failed
    /// together do not come back together; it is an input so that this stays a pure function.
    pub fn wait(&self, attempts: u32, jitter: f64) -> Duration {
        let exponent = attempts.saturating_sub(1).min(63) as i32;
        let full = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let capped = full.min(self.longest.as_secs_f64());
        // Whole microseconds, as the database keeps them.
        Duration::from_micros((capped * (1.0 - 0.2 * jitter.clamp(0.0, 1.0)) * 1e6) as u64)
    }
}

/// A step's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long one attempt (or verification) may take; after that its outcome is unknown.
    pub attempt_timeout: Duration,
    /// How long the step may take in all, retries and waits included; `None`: no bound but the attempts.
    pub deadline: Option<Duration>,
    /// Retries of the step.
    pub retry: Retry,
    /// Codes that are never retried, whatever the activity's error says.
    pub non_retryable: Vec<&'static str>,
    /// Retries of the undo.
    pub undo_retry: Retry,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(30),
            deadline: None,
            retry: Retry::default(),
            non_retryable: Vec::new(),
            undo_retry: Retry::default(),
        }
    }
}

impl Policy {
    /// The default of transactional activities: ten seconds for an attempt.
    #[must_use]
    pub fn of_transaction() -> Self {
        Self { attempt_timeout: Duration::from_secs(10), ..Self::default() }
    }
}

/// Another policy for the steps that a retry attempts again; what is not given stays the activity's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PolicyOverride {
    /// Attempts in all, counted from the retry; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The wait before the second attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<u64>,
    /// The longest wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_ms: Option<u64>,
    /// How long one attempt may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout_ms: Option<u64>,
}

impl PolicyOverride {
    /// The longest time that may be asked for: a day.
    pub const LONGEST_MS: u64 = 86_400_000;
    /// The most attempts that may be asked for.
    pub const MOST_ATTEMPTS: u32 = 1_000;

    /// Whether its numbers make sense.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.max_attempts.is_some_and(|count| !(1..=Self::MOST_ATTEMPTS).contains(&count)) {
            return Err(format!("policy.max_attempts goes from 1 to {}", Self::MOST_ATTEMPTS));
        }
        if self.attempt_timeout_ms.is_some_and(|ms| !(1..=Self::LONGEST_MS).contains(&ms)) {
            return Err(format!("policy.attempt_timeout_ms goes from 1 to {}", Self::LONGEST_MS));
        }
        for (name, ms) in [("first_ms", self.first_ms), ("longest_ms", self.longest_ms)] {
            if ms.is_some_and(|ms| ms > Self::LONGEST_MS) {
                return Err(format!("policy.{name} goes from 0 to {}", Self::LONGEST_MS));
            }
        }
        match (self.first_ms, self.longest_ms) {
            (Some(first), Some(longest)) if first > longest => {
                Err("policy.first_ms is longer than policy.longest_ms".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The rules of retries with these in place of what they name.
    pub fn retry(&self, own: Retry) -> Retry {
        let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
        let first = ms(self.first_ms).unwrap_or(own.first);
        Retry {
            max_attempts: self.max_attempts.unwrap_or(own.max_attempts),
            first,
            // A first wait that is said counts, also where the activity's own longest is shorter.
            longest: ms(self.longest_ms).unwrap_or_else(|| own.longest.max(ms(self.first_ms).unwrap_or_default())),
            factor: own.factor,
        }
    }

    /// How long one attempt may take.
    pub fn attempt_timeout(&self, own: Duration) -> Duration {
        self.attempt_timeout_ms.map_or(own, Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_retries_for_about_a_minute() {
        let retry = Retry::default();
        let total: Duration = (1..retry.max_attempts).map(|n| retry.wait(n, 0.0)).sum();
        assert_eq!(retry.wait(1, 0.0), Duration::from_millis(250));
        assert!(total > Duration::from_secs(30) && total < Duration::from_secs(75), "{total:?}");
    }

    #[test]
    fn another_policy_replaces_what_it_names_and_nothing_else() {
        let other = PolicyOverride { max_attempts: Some(20), first_ms: Some(60_000), ..PolicyOverride::default() };
        let (own, minute) = (Retry::default(), Duration::from_secs(60));
        assert_eq!(other.retry(own), Retry { max_attempts: 20, first: minute, longest: minute, ..own });
        assert_eq!(other.attempt_timeout(minute), minute);
        assert_eq!(PolicyOverride::default().retry(own), own);
    }

    #[test]
    fn another_policy_is_checked() {
        let none = PolicyOverride::default;
        assert!(none().check().is_ok());
        for bad in [
            PolicyOverride { max_attempts: Some(0), ..none() },
            PolicyOverride { max_attempts: Some(1_001), ..none() },
            PolicyOverride { first_ms: Some(2), longest_ms: Some(1), ..none() },
            PolicyOverride { longest_ms: Some(u64::MAX), ..none() },
            PolicyOverride { attempt_timeout_ms: Some(0), ..none() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn jitter_only_ever_shortens_and_never_below_four_fifths() {
        let retry = Retry::default();
        for attempts in 1..100 {
            let (least, most) = (retry.wait(attempts, 1.0), retry.wait(attempts, 0.0));
            assert!(least <= most && least >= most.mul_f64(0.79) && most <= retry.longest);
        }
    }
}
