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
        runs::{News, ORDER_CHANGED, OrderChanged, OrderInput, Source},
        state::{CancelReason, PaymentState},
    },
    payments::choice::Tried,
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
/// Nothing was sent to the vendor, or it refused it unread.
const UNREACHED: &str = "gateway_unavailable";
/// An attempt that the window cuts short may end a moment before it.
const SLACK: chrono::Duration = chrono::Duration::seconds(1);
/// Interval between checks of a processing payment, at first and at most; a webhook prompts one sooner.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(30);

/// What a payment at one vendor came to, where it did not bring the money.
struct Missed {
    tried: Tried,
    stopped: Stopped,
}

impl Missed {
    const fn of(tried: Tried, stopped: Stopped) -> Self {
        Self { tried, stopped }
    }

    /// No other vendor is asked, whatever this one came to.
    fn at_last(self) -> Self {
        Self { tried: Tried::Unknown, ..self }
    }
}

/// Charges an order, at the next vendor only where it can certainly no longer be charged at this one.
pub(super) async fn collect(cx: &Context, input: &OrderInput) -> Result<Paid, Stopped> {
    let mut source = Source { vendor: input.vendor.clone(), token: input.token.clone() };
    let mut others = input.fallbacks.iter();
    loop {
        let next = others.next();
        match pay_at(cx, input, source, next.is_some()).await {
            Ok(paid) => return Ok(paid),
            Err(Missed { tried, stopped }) => match next {
                Some(next) if tried.may_go_on() => source = next.clone(),
                _ => return Err(stopped),
            },
        }
    }
}

async fn pay_at(cx: &Context, input: &OrderInput, source: Source, has_fallback: bool) -> Result<Paid, Missed> {
    let OrderInput { order_id, amount, currency, .. } = input.clone();
    let Source { vendor, token } = source;
    let wanted = IntentRequest { order_id, amount, currency: currency.clone(), token, vendor, has_fallback };
    let intent = cx.call::<CreateIntent>(wanted).await;
    let before = |reason, failure| Stopped::before_payment(reason, failure);
    let intent = intent.map_err(|failure| Missed::of(Tried::NotMade, before(CancelReason::PaymentFailed, failure)))?;
    let begun = cx.call::<BeginPayment>(intent.clone()).await;
    begun.map_err(|failure| Missed::of(Tried::Unknown, before(CancelReason::System, failure)))?;
    let expires_at = cx.created_at() + span(input.payment_window_ms);
    let request = ChargeRequest { order_id, intent_id: intent.intent_id.clone(), amount, currency, has_fallback };
    loop {
        match cx.call::<Charge>(request.clone()).deadline_at(expires_at).await {
            Ok(Charged::Captured(paid)) => return Ok(paid),
            Ok(Charged::Processing) => {
                if let Some(paid) = await_money(cx, &intent, expires_at).await? {
                    return Ok(paid);
                }
            }
            Err(failure) if failure.code == DECLINED => {
                return Err(Missed::of(Tried::Declined, Stopped::declined(failure.into())));
            }
            Err(failure) if failure.code == UNREACHED && failure.outcome == Outcome::Failed && has_fallback => {
                let stopped = Stopped::before_payment(CancelReason::PaymentFailed, failure);
                return Err(Missed::of(Tried::NotServed, stopped));
            }
            Err(failure) => {
                let expired = time_left(cx, expires_at).await.is_none();
                let unknown = failure.outcome == Outcome::Unknown;
                let reason = if expired { CancelReason::PaymentExpired } else { CancelReason::PaymentFailed };
                let missed = settle(cx, &intent, unknown, reason, failure.into()).await;
                // Once the window is over, another vendor would be too late.
                return missed.map_err(|missed| if expired { missed.at_last() } else { missed });
            }
        }
    }
}

/// Checks a payment that the bank has not decided, until it does, a cancel comes, or the window is over. None: the bank has
/// agreed, and the money is still to be captured.
async fn await_money(cx: &Context, intent: &IntentRef, expires_at: Time) -> Result<Option<Paid>, Missed> {
    let mut pause = FIRST_LOOK;
    let expired = || Failure::new("payment_expired", "the payment did not arrive within the payment window");
    loop {
        let seen_at = match cx.call::<CheckPayment>(intent.clone()).deadline_at(expires_at).await {
            Ok(Checked { settled: Settled::Captured(paid), .. }) => return Ok(Some(paid)),
            Ok(Checked { settled: Settled::Declined, .. }) => {
                let stopped = Stopped::declined(Failure::new(DECLINED, "the bank declined it"));
                return Err(Missed::of(Tried::Declined, stopped));
            }
            Ok(Checked { settled: Settled::Voided, .. }) => break,
            Ok(Checked { settled: Settled::Open | Settled::Authorised, at }) if at >= expires_at => break,
            Ok(Checked { settled: Settled::Authorised, .. }) => return Ok(None),
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
                let settled = settle(cx, intent, false, CancelReason::System, failure).await;
                return settled.map(Some).map_err(Missed::at_last);
            }
            Ok(_) => {}
            // A payload that can't be read still means that something changed.
            Err(unreadable) => drop(unreadable),
        }
        pause = (pause * 2).min(LAST_LOOK);
    }
    let settled = settle(cx, intent, false, CancelReason::PaymentExpired, expired()).await;
    settled.map(Some).map_err(Missed::at_last)
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
) -> Result<Paid, Missed> {
    let mut pause = FIRST_LOOK;
    loop {
        let settling = Settling { intent: intent.clone(), unknown };
        match cx.call::<SettlePayment>(settling).await {
            Ok(Settled::Captured(paid)) => return Ok(paid),
            Ok(Settled::Voided) => {
                let stopped = Stopped { reason, payment: Some(PaymentState::Voided), failure };
                return Err(Missed::of(Tried::Voided, stopped));
            }
            Ok(Settled::Declined) => {
                let stopped = Stopped { reason, payment: Some(PaymentState::Failed), failure };
                return Err(Missed::of(Tried::Declined, stopped));
            }
            Ok(Settled::Open | Settled::Authorised) => {}
            // The gateway could not be reached for an hour: the undos keep asking, and the run is stuck until it
            // answers.
            Err(gone) => {
                let stopped = Stopped { reason, payment: None, failure: gone.into() };
                return Err(Missed::of(Tried::Unknown, stopped));
            }
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
