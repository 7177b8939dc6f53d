//! Collecting the money for an order within its payment window, or making sure that none was taken.
//!
//! The window bounds everything here: it is the charge's deadline, and the run waits until then for a payment that is
//! processing. After that, or if the charge's outcome stays unknown, the run voids the payment at the gateway; the
//! gateway's answer decides. A payment found captured while the stock is still reserved counts as paid in time.

use std::time::Duration;

use crate::{
    activities::{
        BeginPayment, Charge, ChargeRequest, Charged, CheckPayment, Checked, CreateIntent, IntentRef, IntentRequest,
        Paid, SettlePayment, Settled, Settling,
    },
    engine::{Context, Failure, Outcome, StepFailure, Time},
    orders::{
        runs::{News, ORDER_CHANGED, OrderChanged, OrderInput},
        state::{CancelReason, PaymentState},
    },
};

/// Why an order can't be placed.
pub(super) struct Stopped {
    pub(super) reason: CancelReason,
    /// How the payment ended, if there was one.
    pub(super) payment: Option<PaymentState>,
    pub(super) failure: Failure,
}

impl Stopped {
    fn before_payment(reason: CancelReason, failure: StepFailure) -> Self {
        Self { reason, payment: None, failure: failure.into() }
    }

    fn declined(failure: Failure) -> Self {
        Self { reason: CancelReason::PaymentFailed, payment: Some(PaymentState::Failed), failure }
    }
}

const DECLINED: &str = "payment_declined";
/// An attempt that the window cuts short may end a moment before it.
const SLACK: chrono::Duration = chrono::Duration::seconds(1);
/// Interval between checks of a processing payment, at first and at most; a webhook prompts one sooner.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(30);

/// Charges an order.
pub(super) async fn collect(cx: &Context, input: &OrderInput) -> Result<Paid, Stopped> {
    let OrderInput { order_id, amount, currency, token, .. } = input.clone();
    let wanted = IntentRequest { order_id, amount, currency: currency.clone(), token };
    let intent = cx.call::<CreateIntent>(wanted).await;
    let intent = intent.map_err(|failure| Stopped::before_payment(CancelReason::PaymentFailed, failure))?;
    let begun = cx.call::<BeginPayment>(intent.clone()).await;
    begun.map_err(|failure| Stopped::before_payment(CancelReason::System, failure))?;
    let expires_at = cx.created_at() + span(input.payment_window_ms);
    let request = ChargeRequest { order_id, intent_id: intent.intent_id.clone(), amount, currency };
    match cx.call::<Charge>(request).deadline_at(expires_at).await {
        Ok(Charged::Captured(paid)) => Ok(paid),
        Ok(Charged::Processing) => await_money(cx, &intent, expires_at).await,
        Err(failure) if failure.code == DECLINED => Err(Stopped::declined(failure.into())),
        Err(failure) => {
            let expired = time_left(cx, expires_at).await.is_none();
            let reason = if expired { CancelReason::PaymentExpired } else { CancelReason::PaymentFailed };
            let unknown = failure.outcome == Outcome::Unknown;
            settle(cx, &intent, unknown, reason, failure.into()).await
        }
    }
}

/// Checks a payment that the bank has not decided, until it does, a cancel comes, or the window is over.
async fn await_money(cx: &Context, intent: &IntentRef, expires_at: Time) -> Result<Paid, Stopped> {
    let mut pause = FIRST_LOOK;
    let expired = || Failure::new("payment_expired", "the payment did not arrive within the payment window");
    loop {
        let seen_at = match cx.call::<CheckPayment>(intent.clone()).deadline_at(expires_at).await {
            Ok(Checked { settled: Settled::Captured(paid), .. }) => return Ok(paid),
            Ok(Checked { settled: Settled::Declined, .. }) => {
                return Err(Stopped::declined(Failure::new(DECLINED, "the bank declined it")));
            }
            Ok(Checked { settled: Settled::Voided, .. }) => break,
            Ok(Checked { settled: Settled::Open, at }) if at >= expires_at => break,
            Ok(Checked { settled: Settled::Open, at }) => at,
            // A failed check says nothing: another follows, as long as there is time.
            Err(_) => match time_left(cx, expires_at).await {
                Some(now) => now,
                None => break,
            },
        };
        let next = (seen_at + pause).min(expires_at);
        match cx.signal::<OrderChanged>(ORDER_CHANGED).until(next).await {
            Ok(Some(OrderChanged { news: News::Cancel })) => {
                let failure = Failure::new("order_cancelled", "a cancel was accepted");
                return settle(cx, intent, false, CancelReason::System, failure).await;
            }
            Ok(_) => {}
            // A payload that can't be read still means that something changed.
            Err(unreadable) => drop(unreadable),
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
    settle(cx, intent, false, CancelReason::PaymentExpired, expired()).await
}

/// The time, or none if the window is over or the time could not be read.
async fn time_left(cx: &Context, expires_at: Time) -> Option<Time> {
    cx.now().await.ok().filter(|now| *now < expires_at - SLACK)
}

/// Voids the payment at the gateway, and asks until it is captured or void. `reason` and `failure` apply if it is void.
async fn settle(
    cx: &Context,
    intent: &IntentRef,
    unknown: bool,
    reason: CancelReason,
    failure: Failure,
) -> Result<Paid, Stopped> {
    let mut pause = FIRST_LOOK;
    loop {
        let settling = Settling { intent: intent.clone(), unknown };
        match cx.call::<SettlePayment>(settling).await {
            Ok(Settled::Captured(paid)) => return Ok(paid),
            Ok(Settled::Voided) => return Err(Stopped { reason, payment: Some(PaymentState::Voided), failure }),
            Ok(Settled::Declined) => return Err(Stopped { reason, payment: Some(PaymentState::Failed), failure }),
            Ok(Settled::Open) => {}
            // The gateway could not be reached for an hour: the undos keep asking, and the run is stuck until it
            // answers.
            Err(gone) => return Err(Stopped { reason, payment: None, failure: gone.into() }),
        }
        cx.signal::<OrderChanged>(ORDER_CHANGED).within(pause).await.ok();
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// A window in milliseconds as a span of time.
pub(super) fn span(ms: u64) -> chrono::Duration {
    let most = chrono::Duration::days(36_500);
    i64::try_from(ms).ok().and_then(chrono::Duration::try_milliseconds).map_or(most, |span| span.min(most))
}
