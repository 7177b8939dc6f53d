//! Webhooks that come at the same moment share statements and a commit.

use sqlx::PgConnection;

use super::{
    Orders, news_of,
    webhook::{Webhook, WebhookTaken},
};
use crate::{
    engine::{self, Batched, SendSignal, StartRun, to_json},
    orders::{
        error::Error,
        order::Order,
        runs::{LATE_PAYMENT, LatePaymentInput, News},
        state::OrderState,
        store,
    },
    payments::{Intent, IntentStatus, webhook::Subject},
};

/// Webhooks, as they are gathered.
#[derive(Clone)]
struct Webhooks(Orders);

impl Batched for Webhooks {
    type Request = Webhook;
    type Answer = Result<WebhookTaken, Error>;

    async fn together(&self, webhooks: Vec<Webhook>) -> Vec<Option<Result<WebhookTaken, Error>>> {
        match self.0.take_all(&webhooks).await {
            Ok(taken) => taken.into_iter().map(|taken| taken.map(Ok)).collect(),
            Err(error) => error.shared_by(webhooks.len()),
        }
    }

    async fn alone(&self, webhook: Webhook) -> Result<WebhookTaken, Error> {
        self.0.take_alone(&webhook).await
    }
}

impl Orders {
    pub(super) async fn take_together(&self, webhook: Webhook) -> Result<WebhookTaken, Error> {
        let lost = || Err(engine::Error::OutcomeUnknown(sqlx::Error::WorkerCrashed).into());
        self.webhooks.submit(&Webhooks(self.clone()), webhook).await.unwrap_or_else(lost)
    }

    /// None for one whose order somebody has locked: a step is at work on it, perhaps, and the others don't wait for that.
    async fn take_all(&self, webhooks: &[Webhook]) -> Result<Vec<Option<WebhookTaken>>, Error> {
        let mut tx = self.engine.begin_impatient().await?;
        let orders = webhooks.iter().filter_map(|webhook| webhook.order).collect();
        let locked = store::orders::locked_by_others(&mut tx, orders).await?;
        let is_free = |webhook: &&Webhook| webhook.order.is_none_or(|order| !locked.contains(&order));
        let free: Vec<&Webhook> = webhooks.iter().filter(is_free).collect();
        let mut taken = self.take(&mut tx, &free).await?.into_iter();
        tx.commit().await?;
        self.engine.hint();
        Ok(webhooks.iter().map(|webhook| is_free(&webhook).then(|| taken.next()).flatten()).collect())
    }

    async fn take_alone(&self, webhook: &Webhook) -> Result<WebhookTaken, Error> {
        let mut tx = self.engine.begin().await?;
        let taken = self.take(&mut tx, &[webhook]).await?;
        tx.commit().await?;
        self.engine.hint();
        Ok(taken.first().copied().unwrap_or(WebhookTaken::Duplicate))
    }

    async fn take(&self, tx: &mut PgConnection, webhooks: &[&Webhook]) -> Result<Vec<WebhookTaken>, Error> {
        let events: Vec<store::inbox::NewEvent<'_>> = webhooks.iter().map(|webhook| webhook.row()).collect();
        let mut recorded = store::inbox::record_all(tx, &events).await?;
        // Of several with one id the first is the one that was recorded.
        let orders: Vec<Option<Option<Order>>> =
            webhooks.iter().map(|webhook| recorded.remove(&webhook.event.id)).collect();
        let mut taken: Vec<WebhookTaken> =
            webhooks.iter().zip(&orders).map(|(webhook, found)| webhook.at_first(found.as_ref())).collect();
        self.signal_runs(tx, webhooks, &orders, &mut taken).await?;
        for ((webhook, found), taken) in webhooks.iter().zip(&orders).zip(&mut taken) {
            if let (Subject::Intent(intent), Some(Some(order))) = (&webhook.event.subject, found)
                && is_late(order, intent)
            {
                self.start_late_payment(tx, order, intent).await?;
                *taken = WebhookTaken::LatePayment;
            }
            if found.is_some() && *taken != webhook.expected() {
                store::inbox::mark_handled(tx, &webhook.event.id, taken.word()).await?;
            }
        }
        Ok(taken)
    }

    /// Signals the runs of the orders that are locked, all in one statement.
    async fn signal_runs(
        &self,
        tx: &mut PgConnection,
        webhooks: &[&Webhook],
        orders: &[Option<Option<Order>>],
        taken: &mut [WebhookTaken],
    ) -> Result<(), Error> {
        let mut signals: Vec<SendSignal> = Vec::new();
        let mut places = Vec::new();
        for (place, (webhook, found)) in webhooks.iter().zip(orders).enumerate() {
            let news = match &webhook.event.subject {
                Subject::Intent(_) => News::Payment,
                Subject::Refund(_) => News::Refund,
                Subject::Other => continue,
            };
            if let Some(Some(order)) = found {
                if matches!(&webhook.event.subject, Subject::Intent(intent) if is_booked(order, intent)) {
                    taken[place] = WebhookTaken::Booked;
                    continue;
                }
                signals.push(news_of(order, news, Some(&webhook.event.id))?);
                places.push(place);
            }
        }
        if signals.is_empty() {
            return Ok(());
        }
        let sent = self.engine.signal_batch_in(tx, &signals).await?;
        for (place, sent) in places.into_iter().zip(sent) {
            taken[place] = match sent {
                Ok(()) => WebhookTaken::Signalled,
                Err(engine::Error::RunEnded(_) | engine::Error::UnknownRun(_)) => WebhookTaken::RunEnded,
                Err(other) => return Err(other.into()),
            };
        }
        Ok(())
    }

    /// Starts one run per payment, however many events report it.
    async fn start_late_payment(&self, tx: &mut PgConnection, order: &Order, intent: &Intent) -> Result<(), Error> {
        let input = LatePaymentInput::new(order, &intent.id)?;
        let input = to_json(&input).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let tags = [("order".to_owned(), order.id.to_string())].into();
        let start = StartRun { parent_id: Some(order.run_id), tags, ..StartRun::named(LATE_PAYMENT, input) };
        self.engine.start_in(tx, start.key(&intent.id)).await?;
        Ok(())
    }
}

/// Whether the order shows all that the event tells.
fn is_booked(order: &Order, intent: &Intent) -> bool {
    let same = order.intent_id.as_deref() == Some(intent.id.as_str()) && order.captured == intent.captured;
    same && order.captured > 0 && intent.status == IntentStatus::Succeeded
}

/// Whether this is unbooked money of an order that is cancelled or about to be. In the latter case the order's own run
/// may still book it; the late payment's run waits for that and then finds nothing to do.
fn is_late(order: &Order, intent: &Intent) -> bool {
    let cancelled = matches!(order.state, OrderState::Cancelling | OrderState::Cancelled);
    cancelled && order.captured == 0 && intent.status == IntentStatus::Succeeded
}
