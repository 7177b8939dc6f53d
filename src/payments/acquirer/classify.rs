//! Whether an acquirer's answer that is no success is certain. Only its own no is.

use serde::Deserialize;
use serde_json::Value;

use super::wire::WirePayment;
use crate::payments::error::{GatewayError, Refusal, UnknownReason};

#[derive(Deserialize)]
struct WireError {
    code: String,
    #[serde(default)]
    text: String,
    /// Kept raw: a payment that can't be read must not hide the error that carries it.
    payment: Option<Value>,
}

pub(super) fn unreadable(status: u16, error: &dyn std::fmt::Display) -> GatewayError {
    GatewayError::unknown(UnknownReason::Unparsable, format!("{status}: {error}"))
}

/// Classifies an answer that is not a success.
pub(super) fn classify(status: u16, body: &[u8]) -> GatewayError {
    if status >= 500 {
        return GatewayError::unknown(UnknownReason::ServerError, format!("HTTP {status}"));
    }
    // One that is not of the acquirer's shape comes from something in between, which may have passed the request on.
    let Ok(WireError { code, text, payment }) = serde_json::from_slice(body) else {
        return GatewayError::unknown(UnknownReason::Unparsable, format!("HTTP {status}"));
    };
    match (status, code.as_str()) {
        (409, "in_progress") => GatewayError::unknown(UnknownReason::InProgress, text),
        (422, "request_reused") => GatewayError::unknown(UnknownReason::KeyReused, text),
        (409, "wrong_state") => {
            let payment = payment.and_then(|raw| serde_json::from_value::<WirePayment>(raw).ok());
            match payment.map(TryInto::try_into) {
                Some(Ok(intent)) => Refusal::UnexpectedState { intent: Box::new(intent), message: text }.into(),
                // It may be in the very state that an earlier call of ours put it in.
                _ => GatewayError::unknown(UnknownReason::Unparsable, text),
            }
        }
        (429, _) => Refusal::Unavailable { message: text }.into(),
        (400..=404 | 422, _) => Refusal::Rejected { status, code, message: text }.into(),
        _ => GatewayError::unknown(UnknownReason::Unparsable, format!("HTTP {status}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code_of(status: u16, code: &str) -> &'static str {
        classify(status, json!({"code": code, "text": "t"}).to_string().as_bytes()).code()
    }

    #[test]
    fn only_the_acquirers_own_no_is_certain() {
        let (unknown, unreadable) = ("gateway_outcome_unknown", "gateway_answer_unreadable");
        assert_eq!((code_of(500, "x"), code_of(503, "x")), (unknown, unknown));
        assert_eq!((code_of(409, "in_progress"), code_of(422, "request_reused")), (unknown, unknown));
        assert_eq!(
            (code_of(409, "wrong_state"), code_of(408, "x"), code_of(409, "x")),
            (unreadable, unreadable, unreadable)
        );
        assert_eq!(classify(400, b"<html>").code(), unreadable);
        assert_eq!((code_of(429, "slow_down"), code_of(401, "key_wrong")), ("gateway_unavailable", "gateway_rejected"));
        assert_eq!(
            (code_of(404, "not_found"), code_of(422, "amount_too_large")),
            ("gateway_rejected", "gateway_rejected")
        );
    }
}
