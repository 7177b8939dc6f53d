//! One payment on both sides: what the gateway says of it, what our books say, and what that makes. Pure, but for [`look`].

use uuid::Uuid;

use super::{Looked, Sides, Span, Unreadable, Verdict};
use crate::{
    orders::{
        difference::{DifferenceKind, Mismatch},
        store::{
            self,
            books::{self, Booked},
        },
    },
    payments::{
        GatewayError, Intent, IntentStatus, PaymentGateway, Refund, RefundStatus, Refusal, UNKNOWN_VENDOR,
        UnknownReason,
    },
};

/// What the gateway says of a payment.
enum Answer {
    Known(Box<Intent>, Vec<Refund>),
    /// It has no such payment.
    Missing,
    /// It can't be read.
    Odd,
}

/// Looks at one payment on both sides.
pub(super) async fn look(sides: Sides<'_>, span: Span, payment_id: &str) -> Result<Looked, Unreadable> {
    let read_at = store::now(&mut *sides.pool.acquire().await?).await?;
    let answer = ask(sides.gateway, payment_id).await?;
    let owner = match &answer {
        Answer::Known(intent, _) => order_of(intent),
        _ => None,
    };
    let mut conn = sides.pool.acquire().await?;
    let owners: Vec<Uuid> = owner.into_iter().collect();
    let booked = books::of_payments(&mut conn, span.until, &owners, &[payment_id]).await?;
    drop(conn);
    let booked = sides.without_run(booked).await?;
    let verdict = match answer {
        Answer::Known(intent, refunds) => judge(&intent, &refunds, &booked),
        Answer::Missing => judge_missing(payment_id, &booked),
        Answer::Odd => Verdict::Unknown,
    };
    Ok(Looked { payment_id: payment_id.to_owned(), read_at, verdict })
}

async fn ask(gateway: &dyn PaymentGateway, payment_id: &str) -> Result<Answer, GatewayError> {
    let read = async {
        let intent = gateway.get_intent(payment_id).await?;
        let refunds = if intent.captured > 0 { gateway.refunds_of(payment_id).await? } else { Vec::new() };
        Ok(Answer::Known(Box::new(intent), refunds))
    };
    match read.await {
        Err(GatewayError::Refused(Refusal::Rejected { status: 404, .. })) => Ok(Answer::Missing),
        // A vendor that is not set up here can't be asked, which says nothing of the payment.
        Err(GatewayError::Refused(Refusal::Rejected { code, .. })) if code == UNKNOWN_VENDOR => Ok(Answer::Odd),
        // No gateway can have a payment of this name.
        Err(GatewayError::Refused(Refusal::Rejected { status: 0, .. })) => Ok(Answer::Missing),
        Err(GatewayError::Unknown { reason: UnknownReason::Unparsable, .. }) => Ok(Answer::Odd),
        other => other,
    }
}

/// The order that a payment was made for, by its own word; none for a payment that is not a shop's.
pub(super) fn order_of(intent: &Intent) -> Option<Uuid> {
    intent.order_id.as_deref().and_then(|text| Uuid::try_parse(text).ok())
}

/// What a list says of a payment, before anybody is asked.
pub(super) enum Glance {
    Right,
    UnderWay,
    Suspect,
}

/// Whether a payment of the gateway's list needs a look. Its refunds are not known here.
pub(super) fn glance(intent: &Intent, order: Option<&Booked>) -> Glance {
    let holds = matches!(intent.status, IntentStatus::Succeeded | IntentStatus::RequiresCapture);
    let Some(order) = order else { return if holds { Glance::Suspect } else { Glance::Right } };
    if order.under_way {
        return Glance::UnderWay;
    }
    let is_its_own = order.intent_id.as_ref() == Some(&intent.id);
    let agrees = match intent.status {
        IntentStatus::Succeeded => {
            is_its_own && (intent.captured, &intent.currency) == (order.captured, &order.currency)
        }
        IntentStatus::RequiresCapture => false,
        _ => !is_its_own || order.captured == 0,
    };
    if agrees { Glance::Right } else { Glance::Suspect }
}

fn judge_missing(payment_id: &str, booked: &[Booked]) -> Verdict {
    let Some(order) = booked.iter().find(|order| order.intent_id.as_deref() == Some(payment_id)) else {
        return Verdict::Settled(Vec::new());
    };
    if order.under_way {
        return Verdict::UnderWay;
    }
    let missing = (order.captured > 0).then(|| missing_of(order, payment_id));
    Verdict::Settled(missing.into_iter().collect())
}

fn missing_of(order: &Booked, payment_id: &str) -> Mismatch {
    Mismatch {
        kind: DifferenceKind::CaptureMissing,
        order_id: Some(order.id),
        payment_id: Some(payment_id.to_owned()),
        sku: None,
        expected: order.captured,
        actual: 0,
        currency: Some(order.currency.clone()),
    }
}

/// Compares a payment that the gateway has with our books.
fn judge(intent: &Intent, refunds: &[Refund], booked: &[Booked]) -> Verdict {
    let claims = booked.iter().find(|order| order.intent_id.as_ref() == Some(&intent.id));
    let Some(owner) = order_of(intent) else {
        // Of a payment that names no order nothing is known, even where our books name it.
        return if claims.is_some() { Verdict::Unknown } else { Verdict::Settled(Vec::new()) };
    };
    if refunds.iter().any(|refund| !matches!(refund.status, RefundStatus::Succeeded) && !refund.status.is_void()) {
        return Verdict::UnderWay;
    }
    let order = booked.iter().find(|order| order.id == owner);
    if order.is_some_and(|order| order.under_way) || claims.is_some_and(|order| order.under_way) {
        return Verdict::UnderWay;
    }
    let made = refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
    let back = made.map(|refund| refund.amount).fold(0, i64::saturating_add);
    let own = order.filter(|order| order.intent_id.as_ref() == Some(&intent.id) && order.captured > 0);
    let mut found = match (intent.status, own) {
        (IntentStatus::Processing | IntentStatus::RequiresAction | IntentStatus::Unrecognised, Some(_)) => {
            return Verdict::Unknown;
        }
        (IntentStatus::Succeeded, Some(order)) => judge_booked(intent, back, order),
        (_, Some(order)) => vec![missing_of(order, &intent.id)],
        (IntentStatus::Succeeded, None) => judge_unbooked(intent, back, owner, order),
        (IntentStatus::RequiresCapture, None) => {
            vec![differs(DifferenceKind::UncapturedHold, intent, owner, 0, intent.amount)]
        }
        _ => Vec::new(),
    };
    // Another order takes the payment for its own.
    if let Some(other) = claims.filter(|order| order.id != owner && order.captured > 0) {
        found.push(missing_of(other, &intent.id));
    }
    Verdict::Settled(found)
}

fn judge_booked(intent: &Intent, back: i64, order: &Booked) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if (intent.captured, &intent.currency) != (order.captured, &order.currency) {
        // Of another currency our books have nothing.
        let expected = if intent.currency == order.currency { order.captured } else { 0 };
        found.push(differs(DifferenceKind::AmountDiffers, intent, order.id, expected, intent.captured));
    }
    if back != order.refunded {
        let less = back < order.refunded;
        let kind = if less { DifferenceKind::RefundMissing } else { DifferenceKind::RefundTooMuch };
        found.push(differs(kind, intent, order.id, order.refunded, back));
    }
    found
}

/// Money that is nobody's, unless it has gone back.
fn judge_unbooked(intent: &Intent, back: i64, owner: Uuid, order: Option<&Booked>) -> Vec<Mismatch> {
    let kept = intent.captured.saturating_sub(back);
    if kept == 0 {
        return Vec::new();
    }
    let kind = match order {
        None => DifferenceKind::CapturedWithoutOrder,
        Some(order) if order.captured > 0 => DifferenceKind::CapturedTwice,
        Some(_) => DifferenceKind::CaptureUnbooked,
    };
    vec![differs(kind, intent, owner, 0, kept)]
}

fn differs(kind: DifferenceKind, intent: &Intent, order: Uuid, expected: i64, actual: i64) -> Mismatch {
    Mismatch {
        kind,
        order_id: Some(order),
        payment_id: Some(intent.id.clone()),
        sku: None,
        expected,
        actual,
        currency: Some(intent.currency.clone()),
    }
}
