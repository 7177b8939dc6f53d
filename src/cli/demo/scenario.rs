//! The scenarios of an order, and how each must end.

use crate::orders::state::{CancelReason, OrderState, PaymentState, StockState};

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Delivered,
    Declined,
    TimeoutBeforeEffect,
    TimeoutAfterEffect,
    ServerErrorAfterEffect,
    Flaky,
    FallsBack,
    LatePayment,
    OutOfStock,
    CancelFirstTier,
    CancelSecondTier,
    CancelTooLate,
    SellerCancels,
    RefundFailsUntilRetry,
    UndoFailsUntilRetry,
}

/// How an order must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) state: OrderState,
    pub(super) reason: Option<CancelReason>,
    pub(super) payment: PaymentState,
    pub(super) stock: StockState,
    /// Refund, in per cent of the captured amount.
    pub(super) refunded: i64,
}

impl Scenario {
    /// All of them, in playing order.
    pub(super) const ALL: [Self; 15] = [
        Self::Delivered,
        Self::Declined,
        Self::TimeoutBeforeEffect,
        Self::TimeoutAfterEffect,
        Self::ServerErrorAfterEffect,
        Self::LatePayment,
        Self::OutOfStock,
        Self::CancelFirstTier,
        Self::CancelSecondTier,
        Self::CancelTooLate,
        Self::SellerCancels,
        Self::RefundFailsUntilRetry,
        Self::UndoFailsUntilRetry,
        Self::Flaky,
        Self::FallsBack,
    ];

    /// A short description.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Delivered => "paid, delivered, archived",
            Self::Declined => "card declined",
            Self::TimeoutBeforeEffect => "gateway silent, nothing moved",
            Self::TimeoutAfterEffect => "gateway silent after it took the money",
            Self::ServerErrorAfterEffect => "gateway 500 after it took the money",
            Self::Flaky => "gateway down twice, then fine",
            Self::FallsBack => "gateway busy: paid at the second vendor",
            Self::LatePayment => "payment arrives after expiry",
            Self::OutOfStock => "out of stock",
            Self::CancelFirstTier => "customer cancels early: 70 % back",
            Self::CancelSecondTier => "customer cancels later: 40 % back",
            Self::CancelTooLate => "customer cancels too late: refused",
            Self::SellerCancels => "seller cancels: all back",
            Self::RefundFailsUntilRetry => "refund fails until an operator retries",
            Self::UndoFailsUntilRetry => "undo fails until an operator retries",
        }
    }

    /// The payment token that causes this behaviour of the gateway.
    pub(super) const fn token(self) -> &'static str {
        match self {
            Self::Declined => "tok_declined",
            Self::TimeoutBeforeEffect => "tok_timeout_before_effect",
            Self::TimeoutAfterEffect => "tok_timeout_after_effect",
            Self::ServerErrorAfterEffect => "tok_500_after_effect",
            Self::Flaky => "tok_flaky_2",
            Self::FallsBack => "tok_busy",
            Self::LatePayment => "tok_late_success",
            Self::RefundFailsUntilRetry | Self::UndoFailsUntilRetry => "tok_refund_fails",
            _ => "tok_ok",
        }
    }

    /// How it must end.
    pub(super) fn expected(self) -> Expected {
        use {CancelReason as R, OrderState as O, PaymentState as P, StockState as S};
        let kept = |state| Expected { state, reason: None, payment: P::Captured, stock: S::Committed, refunded: 0 };
        let cancelled = |reason, payment, stock, refunded| Expected {
            state: O::Cancelled,
            reason: Some(reason),
            payment,
            stock,
            refunded,
        };
        match self {
            Self::Delivered => kept(O::Delivered),
            Self::Declined => cancelled(R::PaymentFailed, P::Failed, S::Released, 0),
            Self::TimeoutBeforeEffect => cancelled(R::PaymentExpired, P::Voided, S::Released, 0),
            Self::TimeoutAfterEffect
            | Self::ServerErrorAfterEffect
            | Self::Flaky
            | Self::FallsBack
            | Self::LatePayment
            | Self::CancelTooLate => kept(O::Processing),
            Self::OutOfStock => cancelled(R::OutOfStock, P::None, S::None, 0),
            Self::CancelFirstTier => cancelled(R::Customer, P::PartiallyRefunded, S::Released, 70),
            Self::CancelSecondTier => cancelled(R::Customer, P::PartiallyRefunded, S::Released, 40),
            Self::SellerCancels | Self::RefundFailsUntilRetry => cancelled(R::Seller, P::Refunded, S::Released, 100),
            Self::UndoFailsUntilRetry => cancelled(R::System, P::Refunded, S::Released, 100),
        }
    }
}
