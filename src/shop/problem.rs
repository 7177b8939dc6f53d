//! The shop's errors as clients see them. docs/errors.md explains the codes.

use std::time::Duration;

use crate::{
    http::{
        limits,
        problem::{Code, Problem},
    },
    orders::Error,
};

/// The codes of the shop's problems, beside the engine's.
pub(super) const CODES: &[Code] = &[
    Code::new("delivery_too_far", 400, "The address is too far from the store"),
    Code::new("currency_mismatch", 400, "The items have another currency"),
    Code::new("price_overflow", 400, "The total is too large"),
    Code::new("signature_no_secret", 400, "No webhook secret is set here"),
    Code::new("webhook_unreadable", 400, "The webhook is not an event"),
    Code::new("unknown_order", 404, "There is no such order"),
    Code::new("unknown_vendor", 404, "There is no such payment vendor"),
    Code::new("unknown_provider", 404, "There is no such provider of notices"),
    Code::new("unknown_difference", 404, "There is no such difference"),
    Code::new("unknown_notification", 404, "There is no such notification"),
    Code::new("unknown_item", 404, "There is no such item"),
    Code::new("difference_not_open", 409, "The difference is not open"),
    Code::new("difference_being_mended", 409, "The difference is being mended"),
    Code::new("window_closed", 409, "It is too late to cancel"),
    Code::new("out_of_stock", 409, "There is not enough in stock"),
];

/// A problem with one of the shop's codes, or one of the engine's.
pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Problem {
    match CODES.iter().find(|known| known.code == code) {
        Some(code) => Problem::coded(code, detail),
        None => Problem::new(code, detail),
    }
}

/// When a customer with too many orders in flight may ask again: nobody can know when one of them ends.
const ASK_AGAIN: Duration = Duration::from_mins(1);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (code, text) = (error.code(), error.to_string());
        match error {
            Error::Engine(error) => error.into(),
            Error::KeyConflict(order) => new(code, text).with("order_id", order.to_string()),
            Error::TooManyInFlight { .. } => limits::refuse(text, ASK_AGAIN),
            Error::OutOfStock { available, .. } => new(code, text).with("available", available),
            _ => new(code, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_shop_error_has_a_code_and_status() {
        let cases = [
            (Error::UnknownOrder(Uuid::nil()), 404),
            (Error::UnknownItem("s".into()), 404),
            (Error::UnknownDifference(Uuid::nil()), 404),
            (Error::UnknownNotification(Uuid::nil()), 404),
            (Error::UnknownProvider("p".into()), 404),
            (Error::DifferenceNotOpen("gone"), 409),
            (Error::DifferenceBeingMended(Uuid::nil()), 409),
            (Error::OutOfStock { sku: "s".into(), wanted: 2, available: 1 }, 409),
            (Error::WindowClosed(std::time::Duration::ZERO), 409),
            (Error::WrongState("m".into()), 409),
            (Error::DeliveryTooFar { km: 9.0, limit_km: 5.0 }, 400),
            (Error::PriceOverflow, 400),
            (Error::TooManyInFlight { most: 3 }, 429),
            (Error::KeyConflict(Uuid::nil()), 409),
            (Error::NotificationKeyConflict, 409),
            (Error::BadCursor, 400),
            (Error::InvalidRequest("m".into()), 400),
        ];
        for (error, status) in cases {
            let code = error.code();
            let problem = Problem::from(error);
            assert_eq!((problem.code(), problem.status().as_u16()), (code, status));
        }
    }
}
