//! `create_intent` and `begin_payment`: the first half of a payment, in which no money moves. The gateway's id of the
//! payment is recorded before the charge.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    IntentRef, ORDER_CANCELLED, from_gateway,
    references::check_run,
    refused,
    together::{Results, answers, apply, inputs_by_run, lock_all, only, read_off, save_all},
    void::void_or_refund,
};
use crate::{
    engine::{Activity, ActivityCalls, ActivityContext, ActivityError, Answer, RunId},
    orders::{
        money::format_amount,
        runs::{first_vendor, is_first_vendor},
        state::{OrderState, PaymentState},
    },
    payments::{NewIntent, PaymentGateway},
};

/// Input of `create_intent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct IntentRequest {
    /// The order.
    pub order_id: Uuid,
    /// Minor units.
    pub amount: i64,
    /// ISO code.
    pub currency: String,
    /// The payment method's token.
    pub token: String,
    /// The vendor that it is of.
    #[serde(default = "first_vendor", skip_serializing_if = "is_first_vendor")]
    pub vendor: String,
    /// Another vendor is asked when this one fails, so it is not asked twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_fallback: bool,
}

/// Creates the payment at the gateway, unconfirmed.
pub struct CreateIntent {
    pub(super) pool: PgPool,
    pub(super) gateway: Arc<dyn PaymentGateway>,
}

impl Activity for CreateIntent {
    const NAME: &'static str = "create_intent";
    const UNDOABLE: bool = true;
    type Input = IntentRequest;
    type Output = IntentRef;

    fn secret_fields() -> &'static [&'static str] {
        &["token"]
    }

    async fn run(&self, cx: &ActivityContext, input: &IntentRequest) -> Result<IntentRef, ActivityError> {
        let new = NewIntent {
            amount: input.amount,
            currency: input.currency.clone(),
            token: input.token.clone(),
            vendor: Some(input.vendor.clone()),
            order_id: input.order_id.to_string(),
            metadata: [("run_id".to_owned(), cx.run_id().to_string())].into(),
        };
        let made = self.gateway.create_intent(cx.key(), &new).await.map_err(|error| from_gateway(&error));
        let intent = made.map_err(|error| if input.has_fallback { error.fatal() } else { error })?;
        Ok(IntentRef { order_id: input.order_id, intent_id: intent.id })
    }

    fn undo_summary(input: &IntentRequest) -> Option<String> {
        Some(format!("leave no payment of {}", format_amount(input.amount, &input.currency)))
    }

    /// Voids or refunds the payment, whatever the charge's own undo achieved. Without an output the intent's id was
    /// never known, so it was never charged.
    async fn undo(
        &self,
        cx: &ActivityContext,
        _input: &IntentRequest,
        output: Option<&IntentRef>,
    ) -> Result<(), ActivityError> {
        match output {
            Some(intent) => void_or_refund(&self.pool, self.gateway.as_ref(), cx.key(), intent).await,
            None => Ok(()),
        }
    }
}

/// Records the payment on the order: the last check for a cancel before money moves.
#[derive(Clone, Copy, Debug)]
pub struct BeginPayment;

impl Activity for BeginPayment {
    const NAME: &'static str = "begin_payment";
    const TRANSACTIONAL: bool = true;
    type Input = IntentRef;
    type Output = PaymentState;

    async fn run(&self, cx: &ActivityContext, input: &IntentRef) -> Result<PaymentState, ActivityError> {
        only(begin_payment(&mut *cx.tx().await?, &[(input, cx.run_id())]).await?)
    }

    async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<PaymentState>>, ActivityError> {
        answers(calls, begin_payment(&mut *calls.tx().await?, &inputs_by_run(calls)).await?)
    }
}

async fn begin_payment(
    conn: &mut PgConnection,
    inputs: &[(&IntentRef, RunId)],
) -> Result<Results<PaymentState>, ActivityError> {
    let ids: Vec<Uuid> = inputs.iter().map(|(input, _)| input.order_id).collect();
    let begun = apply(lock_all(conn, &ids).await?, inputs, |order, (input, run)| {
        check_run(order, *run)?;
        if order.state == OrderState::Cancelling {
            return Err(ActivityError::failed(ORDER_CANCELLED, "a cancel was accepted").fatal());
        }
        order.become_paid(PaymentState::Pending).map_err(refused)?;
        order.intent_id = Some(input.intent_id.clone());
        Ok(())
    });
    save_all(conn, &begun).await?;
    Ok(read_off(begun, |order| order.payment_state))
}
