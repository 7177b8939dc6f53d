//! The order domain's errors, each with a stable code. The HTTP layer maps codes to statuses; docs/errors.md explains
//! them.

use uuid::Uuid;

use super::state::IllegalMove;
use crate::engine;

/// Errors of the order service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something in the request is missing, malformed or out of range.
    #[error("{0}")]
    InvalidRequest(String),
    /// There is no such order.
    #[error("there is no order {0}")]
    UnknownOrder(Uuid),
    /// There is no such item.
    #[error("there is no item {0}")]
    UnknownItem(String),
    /// Fewer units of an item are available than were ordered.
    #[error("item {sku}: {wanted} wanted, {available} available")]
    OutOfStock {
        /// The item.
        sku: String,
        /// Units ordered.
        wanted: i64,
        /// Units available.
        available: i64,
    },
    /// The customer can no longer cancel the order.
    #[error("the order was placed more than {} ago: it can no longer be cancelled", humantime::format_duration(*.0))]
    WindowClosed(std::time::Duration),
    /// The order's state does not allow it.
    #[error("{0}")]
    WrongState(String),
    /// The address is outside the delivery radius.
    #[error("the address is {km:.1} km from the store; the limit is {limit_km} km")]
    DeliveryTooFar {
        /// The distance.
        km: f64,
        /// The limit.
        limit_km: f64,
    },
    /// Items in different currencies, or in another one than requested.
    #[error("item {sku} is priced in {found}, not in {wanted}")]
    CurrencyMismatch {
        /// The item.
        sku: String,
        /// Its currency.
        found: String,
        /// The order's currency.
        wanted: String,
    },
    /// The total exceeds the maximum for an order.
    #[error("the order's total is too large")]
    PriceOverflow,
    /// The key belongs to an order that was placed with a different request.
    #[error("the key belongs to order {0}, which was placed with a different request")]
    KeyConflict(Uuid),
    /// The key belongs to notifications that were asked for with a different request.
    #[error("the key belongs to a notification that was asked for with a different request")]
    NotificationKeyConflict,
    /// The customer has as many orders in flight as they may have.
    #[error("the customer has {most} orders that are neither delivered nor cancelled; more may not be placed")]
    TooManyInFlight {
        /// The limit.
        most: u32,
    },
    /// The cursor does not come from this list.
    #[error("the cursor does not come from this list")]
    BadCursor,
    /// A webhook was rejected.
    #[error("webhook rejected: {message}")]
    WebhookRefused {
        /// The stable code of the reason.
        code: &'static str,
        /// The reason.
        message: String,
    },
    /// The gateway can't be asked.
    #[error("the gateway can't be asked: {0}")]
    Gateway(#[from] crate::payments::GatewayError),
    /// There is no such payment vendor.
    #[error("there is no vendor {0}")]
    UnknownVendor(String),
    /// There is no such provider of notices.
    #[error("there is no provider {0}")]
    UnknownProvider(String),
    /// There is no such difference.
    #[error("there is no difference {0}")]
    UnknownDifference(Uuid),
    /// A difference is mended or gone.
    #[error("the difference is {0}: nothing is left to mend")]
    DifferenceNotOpen(&'static str),
    /// A run is mending it.
    #[error("run {0} is mending the difference")]
    DifferenceBeingMended(Uuid),
    /// There is no such notification.
    #[error("there is no notification {0}")]
    UnknownNotification(Uuid),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Error {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::UnknownOrder(_) => "unknown_order",
            Self::UnknownItem(_) => "unknown_item",
            Self::OutOfStock { .. } => "out_of_stock",
            Self::WindowClosed(_) => "window_closed",
            Self::WrongState(_) => "wrong_state",
            Self::DeliveryTooFar { .. } => "delivery_too_far",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::PriceOverflow => "price_overflow",
            Self::KeyConflict(_) | Self::NotificationKeyConflict => "key_conflict",
            Self::TooManyInFlight { .. } => "rate_limited",
            Self::BadCursor => "bad_cursor",
            Self::WebhookRefused { code, .. } => code,
            Self::Gateway(error) => error.code(),
            Self::UnknownVendor(_) => "unknown_vendor",
            Self::UnknownProvider(_) => "unknown_provider",
            Self::UnknownDifference(_) => "unknown_difference",
            Self::DifferenceNotOpen(_) => "difference_not_open",
            Self::DifferenceBeingMended(_) => "difference_being_mended",
            Self::UnknownNotification(_) => "unknown_notification",
            Self::Engine(error) => error.code(),
        }
    }
}

impl Error {
    /// For a look at what a write before it has made.
    pub(super) fn after_write(self) -> Self {
        match self {
            Self::Engine(error) => Self::Engine(error.after_write()),
            other => other,
        }
    }
}

impl Error {
    /// What each of so many gets whose common write failed with this. `None`: each is to go alone.
    pub(super) fn shared_by<T>(&self, count: usize) -> Vec<Option<Result<T, Self>>> {
        let Self::Engine(error) = self else { return (0..count).map(|_| None).collect() };
        error.shared_by(count).into_iter().map(|answer| answer.map(|failed| failed.map_err(Self::Engine))).collect()
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<IllegalMove> for Error {
    fn from(error: IllegalMove) -> Self {
        Self::WrongState(error.to_string())
    }
}
