//! Plays one order: places it, acts as its customer, the shop or an operator, and waits for its end.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

use super::{
    pace::Pace,
    scenario::{Expected, Scenario},
    stage::{PLENTY, SECOND_VENDOR, SOLD_OUT, Stage},
};
use crate::{
    engine::{Operator, Run},
    orders::{
        CancelOrder, Contact, Fulfilment, Order, Payment, PlaceOrder, Wanted,
        state::{CancelBy, OrderState},
    },
};

/// Timeout of a scenario.
const AT_MOST: Duration = Duration::from_secs(90);
/// Age at which the customer cancels who cancels late: between the tiers of [`super::stage`].
const LATER: Duration = Duration::from_secs(6);

/// How often the demo looks whether something has come about.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Result of a scenario.
pub(super) struct Outcome {
    pub(super) scenario: Scenario,
    /// The ended order and its run, and what is wrong with them.
    pub(super) ended: anyhow::Result<(Order, Run)>,
    pub(super) wrong: Option<String>,
}

impl Stage {
    /// Plays one scenario to its end.
    pub(super) async fn play(&self, scenario: Scenario, number: usize) -> Outcome {
        let expected = scenario.expected();
        let at_most = self.pace.of(AT_MOST);
        let played = tokio::time::timeout(at_most, self.perform(scenario, number)).await;
        let ended = match played {
            Ok(ended) => ended,
            Err(_) => Err(anyhow::anyhow!("it did not end within {at_most:?}")),
        };
        let wrong = match &ended {
            Ok((order, _)) => difference(order, expected),
            Err(error) => Some(format!("{error:#}")),
        };
        Outcome { scenario, ended, wrong }
    }

    /// Places as many orders as will be played, side by side, and sees how long the last one takes. They are of an item that is
    /// sold out: they pass through the same hands as all others, and leave nothing in the books.
    pub(super) async fn measure(self: &Arc<Self>, orders: usize) -> anyhow::Result<Pace> {
        let began = Instant::now();
        let mut trial = JoinSet::new();
        for number in 0..orders {
            let stage = self.clone();
            trial.spawn(async move {
                let id = stage.place(Scenario::OutOfStock, &format!("trial-{number}"), number).await?;
                stage.until(id, |order| order.state == OrderState::Cancelled).await
            });
        }
        while let Some(ended) = trial.join_next().await {
            ended.context("a trial's task was lost")??;
        }
        Ok(Pace::measured(began.elapsed()))
    }

    async fn perform(&self, scenario: Scenario, number: usize) -> anyhow::Result<(Order, Run)> {
        let id = self.place(scenario, &format!("demo-{number}"), number).await?;
        match scenario {
            Scenario::Delivered => {
                self.until(id, |order| order.state == OrderState::Processing).await?;
                self.orders.report(id, Fulfilment::Shipped).await?;
                self.orders.report(id, Fulfilment::Delivered).await?;
            }
            Scenario::CancelFirstTier => {
                self.placed(id).await?;
                self.cancel(id, CancelBy::Customer).await?;
            }
            Scenario::CancelSecondTier => {
                let order = self.placed(id).await?;
                self.past(order, self.pace.of(LATER)).await?;
                self.cancel(id, CancelBy::Customer).await?;
            }
            Scenario::CancelTooLate => {
                self.until(id, |order| order.state == OrderState::Processing).await?;
                let refused = self.cancel(id, CancelBy::Customer).await;
                ensure!(refused.is_err_and(|error| error.code() == "window_closed"), "the late cancel was not refused");
            }
            Scenario::SellerCancels => {
                self.placed(id).await?;
                self.cancel(id, CancelBy::Seller).await?;
            }
            Scenario::RefundFailsUntilRetry => {
                self.placed(id).await?;
                let order = self.cancel(id, CancelBy::Seller).await?;
                self.mend(&order).await?;
            }
            Scenario::UndoFailsUntilRetry => {
                let order = self.placed(id).await?;
                let by = Operator { reason: Some("placed by mistake".to_owned()), ..operator() };
                self.engine.compensate(order.run_id, &by).await?;
                self.mend(&order).await?;
            }
            _ => {}
        }
        let expected = scenario.expected();
        let order = self.until(id, |order| difference(order, expected).is_none()).await?;
        let run = self.at_rest(&order, scenario).await?;
        Ok((order, run))
    }

    async fn place(&self, scenario: Scenario, key: &str, number: usize) -> anyhow::Result<Uuid> {
        let sku = if scenario == Scenario::OutOfStock { SOLD_OUT } else { PLENTY };
        let request = PlaceOrder {
            customer_id: format!("customer-{}", number + 1),
            items: vec![Wanted { sku: sku.to_owned(), quantity: 1 + number as i64 % 3 }],
            currency: None,
            payment: payment(scenario),
            delivery: None,
            contact: Some(Contact {
                email: Some(format!("customer-{}@example.com", number + 1)),
                ..Contact::default()
            }),
        };
        Ok(self.orders.place(&request, Some(key)).await.context("placing the order")?.order.id)
    }

    async fn cancel(&self, id: Uuid, by: CancelBy) -> Result<Order, crate::orders::Error> {
        self.orders.cancel(id, &CancelOrder { reason: Some("demo".to_owned()), by: Some(by) }).await
    }

    async fn placed(&self, id: Uuid) -> anyhow::Result<Order> {
        self.until(id, |order| order.state == OrderState::Placed).await
    }

    /// Waits until the order is as old as `age`, on the database's clock.
    async fn past(&self, order: Order, age: Duration) -> anyhow::Result<()> {
        let placed_at = order.placed_at.context("a placed order has a placed_at")?;
        while self.engine.now().await? < placed_at + age {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Acts as the operator when the gateway refuses refunds: waits until the run is stuck, heals the gateway, retries.
    async fn mend(&self, order: &Order) -> anyhow::Result<()> {
        while self.engine.run(order.run_id).await?.status != "stuck" {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let intent = order.intent_id.as_deref().context("a paid order has an intent")?;
        let heal = format!("{}/sim/refunds/heal?payment_intent={intent}", self.gateway_url);
        self.http.post(heal).send().await?.error_for_status()?;
        self.engine.retry(order.run_id, &operator()).await?;
        Ok(())
    }

    async fn until(&self, id: Uuid, reached: impl Fn(&Order) -> bool) -> anyhow::Result<Order> {
        loop {
            let order = self.orders.get(id).await?;
            if reached(&order) {
                return Ok(order);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the run has ended, or waits for fulfilment, which does not report in most scenarios.
    async fn at_rest(&self, order: &Order, scenario: Scenario) -> anyhow::Result<Run> {
        let waits = scenario.expected().state == OrderState::Processing;
        loop {
            let run = self.engine.run(order.run_id).await?;
            let ended = run.status.has_ended();
            if ended || (waits && run.status == "waiting") {
                return Ok(run);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A token of the first vendor; where that is too busy, also one of the second.
fn payment(scenario: Scenario) -> Payment {
    let mut payment = Payment::of(scenario.token());
    if scenario == Scenario::FallsBack {
        payment.tokens.insert(SECOND_VENDOR.to_owned(), "tok_ok".to_owned());
    }
    payment
}

fn operator() -> Operator {
    Operator {
        actor: "demo operator".to_owned(),
        reason: Some("the gateway takes refunds again".to_owned()),
        ..Operator::default()
    }
}

/// Describes a difference from the expected end, if any.
fn difference(order: &Order, expected: Expected) -> Option<String> {
    let refunded = order.captured * expected.refunded / 100;
    let as_it_is = (order.state, order.cancel_reason, order.payment_state, order.stock_state, order.refunded);
    let as_it_should = (expected.state, expected.reason, expected.payment, expected.stock, refunded);
    (as_it_is != as_it_should).then(|| format!("it is {as_it_is:?}, and should be {as_it_should:?}"))
}
