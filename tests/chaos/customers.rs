//! Customers: they come in waves, one per kill, place orders of every kind, some of them twice, and cancel some.

use std::time::Duration;

use backstitch::orders::{CancelOrder, Orders, Payment, PlaceOrder, Wanted, state::CancelBy};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use crate::rng::Rng;

pub(crate) const ORDERS: usize = 2_000;
const WAVES: usize = 20;
/// How many place their orders at the same time.
const AT_ONCE: usize = 50;

/// Tokens that need no operator, with how many of a hundred orders are paid so.
const TOKENS: [(&str, usize); 11] = [
    ("tok_ok", 50),
    ("tok_declined", 8),
    ("tok_timeout_after_effect", 8),
    ("tok_500_after_effect", 8),
    ("tok_flaky_2", 6),
    ("tok_duplicate_webhooks", 6),
    ("tok_no_webhook", 4),
    ("tok_late_success", 3),
    ("tok_timeout_before_effect", 2),
    ("tok_slow", 2),
    ("tok_refund_pending", 3),
];

/// What a customer is going to do.
struct Plan {
    number: usize,
    request: PlaceOrder,
    twice: bool,
    cancel: Option<(CancelBy, Duration)>,
}

/// What they did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Placed a second time, at the same moment, with the same key.
    pub(crate) twice: usize,
    /// Cancels that were accepted, and refused.
    pub(crate) cancels: (usize, usize),
}

pub(crate) struct Customers {
    orders: Orders,
    rng: Rng,
}

impl Customers {
    pub(crate) fn new(orders: Orders, rng: Rng) -> Self {
        Self { orders, rng }
    }

    /// All of them, one wave after each kill. Returns when the last cancel has been answered.
    pub(crate) async fn all_come(mut self, mut kills: watch::Receiver<usize>) -> Tally {
        let mut tally = Tally::default();
        let mut cancels = tokio::task::JoinSet::new();
        for wave in 0..WAVES {
            kills.wait_for(|kills| *kills >= wave).await.expect("the nemesis is at work");
            let size = ORDERS / WAVES;
            let plans: Vec<Plan> = (wave * size..(wave + 1) * size).map(|number| self.plan(number)).collect();
            let placing = plans.into_iter().map(|plan| place(self.orders.clone(), plan));
            let mut placed = stream::iter(placing).buffer_unordered(AT_ONCE);
            while let Some((id, plan)) = placed.next().await {
                tally.twice += usize::from(plan.twice);
                if let Some((by, after)) = plan.cancel {
                    cancels.spawn(cancel(self.orders.clone(), id, by, after));
                }
            }
        }
        while let Some(accepted) = cancels.join_next().await {
            let accepted = accepted.expect("a cancel is accepted or refused");
            *(if accepted { &mut tally.cancels.0 } else { &mut tally.cancels.1 }) += 1;
        }
        tally
    }

    fn plan(&mut self, number: usize) -> Plan {
        let tokens: Vec<&str> = TOKENS.iter().flat_map(|(token, share)| vec![*token; *share]).collect();
        let sku = if self.rng.chance(12) { "scarce" } else { "plenty" };
        let wanted = |sku: &str, quantity| Wanted { sku: sku.to_owned(), quantity };
        let mut items = vec![wanted(sku, 1 + self.rng.below(3) as i64)];
        if sku == "scarce" && self.rng.chance(50) {
            items.push(wanted("plenty", 1));
        }
        let request = PlaceOrder {
            customer_id: format!("customer-{}", number % 100),
            items,
            currency: None,
            payment: Payment::of(self.rng.pick(&tokens)),
            delivery: None,
            contact: None,
        };
        let by = self.rng.pick(&[CancelBy::Customer, CancelBy::Customer, CancelBy::Seller]);
        let after = Duration::from_millis(self.rng.below(9_000));
        Plan { number, request, twice: self.rng.chance(10), cancel: self.rng.chance(12).then_some((by, after)) }
    }
}

async fn place(orders: Orders, plan: Plan) -> (uuid::Uuid, Plan) {
    let key = format!("chaos-{}", plan.number);
    let once = async || orders.place(&plan.request, Some(&key)).await.expect("the order is taken");
    let placed = if plan.twice {
        let (first, second) = tokio::join!(once(), once());
        assert_eq!(first.order.id, second.order.id, "one key, one order");
        assert!(first.created != second.created, "one of the two made it");
        first
    } else {
        once().await
    };
    (placed.order.id, plan)
}

/// Whether it was accepted.
async fn cancel(orders: Orders, id: uuid::Uuid, by: CancelBy, after: Duration) -> bool {
    tokio::time::sleep(after).await;
    match orders.cancel(id, &CancelOrder { reason: None, by: Some(by) }).await {
        Ok(_) => true,
        Err(error) if matches!(error.code(), "window_closed" | "wrong_state") => false,
        Err(error) => panic!("cancelling {id}: {error:?}"),
    }
}
