//! Faults, chosen by the payment token.
//!
//! | token | confirm | afterwards |
//! |---|---|---|
//! | `tok_ok` | succeeds | |
//! | `tok_declined` | 402 `card_declined`, stored under the key | intent `requires_payment_method` |
//! | `tok_timeout_before_effect` | never answered, each time; no money moves | only a cancel settles it |
//! | `tok_timeout_after_effect` | succeeds, never answered | the same key replays the 200 |
//! | `tok_500_after_effect` | succeeds, answers 500, stored | the same key replays the 500 forever; reads tell |
//! | `tok_slow` | `processing` for 2 s, then succeeds and answers | |
//! | `tok_late_success` | `processing` | see the module's "Late payments" |
//! | `tok_refund_fails` | succeeds | refunds fail until `POST /sim/refunds/heal`, see [`RefundFailure`] |
//! | `tok_refund_pending` | succeeds | refunds are `pending` for a while, then `succeeded` |
//! | `tok_duplicate_webhooks` | succeeds | each event comes three times, under one id |
//! | `tok_no_webhook` | succeeds | no events at all |
//! | `tok_busy` | 429, unread, each time | |
//! | `tok_flaky_<n>` | 503 n times, not stored, no money moves; then succeeds | |
//!
//! An acquirer authorises and captures apart. There the effect that an answer is lost before or after is the capture, and two more
//! tokens have a meaning; elsewhere they are as good as `tok_ok`:
//!
//! | token | capture |
//! |---|---|
//! | `tok_capture_lost` | the first one is never answered, and no money moves: it stays authorised |
//! | `tok_authorisation_expires` | refused: the authorisation has expired |
//!
//! A 503 of `tok_flaky` is answered before execution begins, so the same key works afterwards; a 500 of
//! `tok_500_after_effect` is executed and stored. Stripe makes the same distinction.

use serde::{Deserialize, Serialize};

/// How often `tok_duplicate_webhooks` posts each event.
const DUPLICATES: usize = 3;

/// The most times `tok_flaky_<n>` may fail; more is a typing error.
const MAX_FLAKY: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Declined,
    TimeoutBefore,
    TimeoutAfter,
    ServerErrorAfter,
    Slow,
    LateSuccess,
    RefundFails,
    RefundPending,
    DuplicateWebhooks,
    NoWebhook,
    Flaky(u32),
    Busy,
    CaptureLost,
    AuthorisationExpires,
}

impl Fault {
    /// The fault of a token; `None` for a token that this gateway does not know.
    pub(super) fn of(token: &str) -> Option<Self> {
        Some(match token.strip_prefix("tok_")? {
            "ok" => Self::None,
            "declined" => Self::Declined,
            "timeout_before_effect" => Self::TimeoutBefore,
            "timeout_after_effect" => Self::TimeoutAfter,
            "500_after_effect" => Self::ServerErrorAfter,
            "slow" => Self::Slow,
            "late_success" => Self::LateSuccess,
            "refund_fails" => Self::RefundFails,
            "refund_pending" => Self::RefundPending,
            "duplicate_webhooks" => Self::DuplicateWebhooks,
            "no_webhook" => Self::NoWebhook,
            "busy" => Self::Busy,
            "capture_lost" => Self::CaptureLost,
            "authorisation_expires" => Self::AuthorisationExpires,
            other => {
                let times = other.strip_prefix("flaky_")?.parse().ok()?;
                return (times <= MAX_FLAKY).then_some(Self::Flaky(times));
            }
        })
    }

    /// How often an event about such an intent is posted.
    pub(super) fn deliveries(self) -> usize {
        match self {
            Self::DuplicateWebhooks => DUPLICATES,
            Self::NoWebhook => 0,
            _ => 1,
        }
    }
}

/// Answer to a cancel of a processing `tok_late_success` intent; the money arrives either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum LateCancel {
    /// `canceled`; the payment arrives all the same.
    #[default]
    Accepted,
    /// 400, because it is processing.
    Refused,
}

/// How a refund of a `tok_refund_fails` payment fails, until it is healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum RefundFailure {
    /// 400 `balance_insufficient`, not stored: once healed, the same key works.
    #[default]
    Refused,
    /// Accepted as `pending`, then `failed`; the same key replays the `pending` answer forever, so a new refund
    /// needs a new key.
    Later,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_tokens_are_known() {
        assert_eq!(Fault::of("tok_ok"), Some(Fault::None));
        assert_eq!(Fault::of("tok_flaky_2"), Some(Fault::Flaky(2)));
        for unknown in ["", "tok_", "ok", "tok_flaky", "tok_flaky_", "tok_flaky_-1", "tok_flaky_1001", "tok_visa"] {
            assert_eq!(Fault::of(unknown), None, "{unknown}");
        }
    }
}
