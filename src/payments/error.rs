//! Gateway errors, classified by whether the call had an effect.
//!
//! [`GatewayError::Refused`] means that this call certainly changed nothing at the gateway,
//! [`GatewayError::Unknown`] that it may have. When in doubt it is unknown. `code()` is ours and
//! stable; the gateway's own code and text are kept beside it for people.

use super::types::{Decline, Intent};

/// The code of an answer that can't be relied on.
pub(crate) const UNREADABLE: &str = "gateway_answer_unreadable";

/// The code of a payment whose vendor is not set up here.
pub(crate) const UNKNOWN_VENDOR: &str = "unknown_vendor";

/// A call that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GatewayError {
    /// This call certainly had no effect.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This call may have had an effect. Read the intent or the refunds to find out.
    #[error("outcome unknown ({reason}): {message}")]
    Unknown {
        /// Why it is not known.
        reason: UnknownReason,
        /// For people; carries no secret.
        message: String,
    },
}

/// A certain refusal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The payer's bank said no: a business outcome, not an alert.
    #[error("payment declined ({}): {}", .0.code, .0.message)]
    Declined(Decline),
    /// The intent's state forbids the call.
    #[error("the intent's state forbids it: {message}")]
    UnexpectedState {
        /// The present intent. Without one that can be read nothing is certain: see [`UnknownReason::Unparsable`].
        intent: Box<Intent>,
        /// The gateway's text.
        message: String,
    },
    /// The request is wrong or not allowed: bad parameter, unknown id, bad API key, too much.
    #[error("the gateway rejected the request ({status} {code}): {message}")]
    Rejected {
        /// HTTP status; 0 where the adapter refused before it sent anything.
        status: u16,
        /// The gateway's code, for example `amount_too_large`; its error type where it has none.
        code: String,
        /// The gateway's text.
        message: String,
    },
    /// Nothing was sent (no connection), or the gateway refused it unread (rate limit).
    #[error("the gateway is not available: {message}")]
    Unavailable {
        /// For people.
        message: String,
    },
}

/// Why an outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownReason {
    /// No answer in time.
    Timeout,
    /// The connection broke after the request may have been sent.
    ConnectionLost,
    /// A 5xx, fresh or replayed.
    ServerError,
    /// 409, or 429 `lock_timeout`: our key or intent is in use at this moment, perhaps by our own
    /// earlier attempt, which can still take effect.
    InProgress,
    /// The key was used with other parameters. This request did nothing, but an earlier one with our
    /// key was accepted, and its outcome is not known.
    KeyReused,
    /// An answer that can't be read, lacks what is needed, is about something else, or that no gateway of this shape gives.
    Unparsable,
}

impl std::fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::ConnectionLost => "connection lost",
            Self::ServerError => "server error",
            Self::InProgress => "in progress",
            Self::KeyReused => "key reused",
            Self::Unparsable => "unparsable answer",
        })
    }
}

impl GatewayError {
    /// Our stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Declined(_)) => "payment_declined",
            Self::Refused(Refusal::UnexpectedState { .. }) => "payment_unexpected_state",
            Self::Refused(Refusal::Rejected { .. }) => "gateway_rejected",
            Self::Refused(Refusal::Unavailable { .. }) => "gateway_unavailable",
            Self::Unknown { reason: UnknownReason::Unparsable, .. } => UNREADABLE,
            Self::Unknown { .. } => "gateway_outcome_unknown",
        }
    }

    /// Whether this call certainly had no effect.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether the same call under the same key may succeed later.
    ///
    /// True for everything unknown, for a gateway that was not reached, and for problems that an operator can
    /// clear on the gateway's side (a bad API key, an empty balance); false for declines and for invalid
    /// requests.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unknown { reason, .. } => *reason != UnknownReason::KeyReused,
            Self::Refused(Refusal::Unavailable { .. }) => true,
            Self::Refused(Refusal::Rejected { status, code, .. }) => {
                matches!(status, 401 | 403) || ["balance_insufficient", UNKNOWN_VENDOR].contains(&&**code)
            }
            Self::Refused(_) => false,
        }
    }

    /// The intent as the gateway described it in its refusal, if it did.
    pub fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Refused(Refusal::UnexpectedState { intent, .. }) => Some(intent),
            _ => None,
        }
    }

    pub(super) fn unknown(reason: UnknownReason, message: impl Into<String>) -> Self {
        Self::Unknown { reason, message: message.into() }
    }

    pub(super) fn rejected(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal::Rejected { status, code: code.to_owned(), message: message.into() })
    }
}

/// A gateway adapter that can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The base URL is not an http or https URL.
    #[error("the gateway's base URL is not usable: {0}")]
    BaseUrl(String),
    /// The API key is empty or can't stand in a header.
    #[error("the gateway's API key is empty or has characters that a header can't carry")]
    ApiKey,
    /// The HTTP client can't be built.
    #[error("the HTTP client can't be built")]
    Client(#[source] reqwest::Error),
}

impl SetupError {
    /// Our stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BaseUrl(_) => "gateway_bad_url",
            Self::ApiKey => "gateway_bad_key",
            Self::Client(_) => "gateway_no_client",
        }
    }
}
