//! Our books against the gateway's, order by order. Reads only.

use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::Orders;
use crate::{
    orders::{
        error::Error,
        money::format_amount,
        store::books::{self, Booked},
    },
    payments::{GatewayError, Intent, IntentStatus, PaymentGateway, Refund, RefundStatus, Refusal},
};

/// Orders that are compared at most, the newest first, and how many at a time.
const AT_MOST: i64 = 10_000;
const AT_A_TIME: usize = 8;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Orders that agree with the gateway.
    pub agree: usize,
    /// Orders whose payment or refund is under way.
    pub under_way: usize,
    /// What differs, in sentences.
    pub differences: Vec<String>,
}

enum Verdict {
    Agrees,
    UnderWay,
    Differs(String),
}

impl Orders {
    /// Compares what was captured and refunded for each of the newest orders with what the gateway says.
    ///
    /// # Errors
    /// When the database can't be reached. A gateway that can't be asked is a difference.
    pub async fn compare(&self, gateway: &dyn PaymentGateway) -> Result<Comparison, Error> {
        let booked = books::booked(&mut *self.engine.acquire().await?, None, AT_MOST).await?;
        let compared = booked.into_iter().map(|booked| self.compare_one(gateway, booked));
        let found: Vec<Result<Verdict, Error>> = stream::iter(compared).buffer_unordered(AT_A_TIME).collect().await;
        let mut comparison = Comparison::default();
        for one in found {
            match one? {
                Verdict::Agrees => comparison.agree += 1,
                Verdict::UnderWay => comparison.under_way += 1,
                Verdict::Differs(sentence) => comparison.differences.push(sentence),
            }
        }
        comparison.differences.sort();
        Ok(comparison)
    }

    async fn compare_one(&self, gateway: &dyn PaymentGateway, booked: Booked) -> Result<Verdict, Error> {
        let found = ask(gateway, &booked).await;
        if !matches!(found, Verdict::Differs(_)) {
            return Ok(found);
        }
        // It may have moved between the two looks.
        let again = books::booked(&mut *self.engine.acquire().await?, Some(booked.id), 1).await?.pop();
        Ok(match again {
            Some(again) if again != booked => ask(gateway, &again).await,
            _ => found,
        })
    }
}

async fn ask(gateway: &dyn PaymentGateway, booked: &Booked) -> Verdict {
    let read = async {
        let intent = gateway.get_intent(&booked.intent_id).await?;
        let refunds = if intent.captured > 0 { gateway.refunds_of(&booked.intent_id).await? } else { Vec::new() };
        Ok::<_, GatewayError>((intent, refunds))
    };
    match read.await {
        Ok((intent, refunds)) => judge(booked, &intent, &refunds),
        Err(GatewayError::Refused(Refusal::Rejected { status: 404, .. })) => {
            Verdict::Differs(format!("order {}: the gateway does not know its payment {}", booked.id, booked.intent_id))
        }
        Err(error) => Verdict::Differs(format!("order {}: the gateway can't be asked: {error}", booked.id)),
    }
}

fn judge(booked: &Booked, intent: &Intent, refunds: &[Refund]) -> Verdict {
    let Booked { id, captured, refunded, .. } = *booked;
    if intent.order_id.as_deref().and_then(|text| Uuid::try_parse(text).ok()) != Some(id) {
        return Verdict::Differs(format!("order {id}: at the gateway {} is not its payment", intent.id));
    }
    let theirs = if intent.status == IntentStatus::Succeeded { intent.captured } else { 0 };
    let made = refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded);
    let back = made.map(|refund| refund.amount).fold(0, i64::saturating_add);
    if (theirs, back) == (captured, refunded) {
        return Verdict::Agrees;
    }
    if booked.under_way {
        return Verdict::UnderWay;
    }
    let amount = |minor| format_amount(minor, &intent.currency);
    Verdict::Differs(format!(
        "order {id}: the gateway captured {} and refunded {}, our books say {} and {}",
        amount(theirs),
        amount(back),
        amount(captured),
        amount(refunded)
    ))
}
