//! Promise: an open difference is mended one time, by what its kind says, or by nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backstitch::{
    engine::{Engine, WorkerConfig},
    orders::{
        MendDifference, MendPlan,
        difference::{Difference, DifferenceKind as Kind, DifferenceState, Mend},
    },
};
use uuid::Uuid;

use crate::{
    books::NOW,
    odd_gateway::{Change, OddGateway},
    shop::{Opening, Shop},
    support::{
        shop::{GATEWAY_TIMEOUT, shop_registry},
        wait_for_within,
    },
};

async fn deaf() -> Shop {
    Shop::with(Opening { webhooks: false, ..Opening::default() }).await
}

fn because(reason: &str) -> MendDifference {
    MendDifference { reason: Some(reason.to_owned()), ..MendDifference::default() }
}

impl Shop {
    async fn mend(&self, id: Uuid, request: &MendDifference) -> Result<MendPlan, String> {
        let mended = self.orders.acting_as("ann").mend_difference(id, request).await;
        mended.map_err(|error| error.code().to_owned())
    }

    async fn until_mended(&self, id: Uuid) -> Difference {
        wait_for_within(Duration::from_secs(60), "it is mended", async || {
            let difference = self.orders.difference(id).await.expect("it is there");
            if difference.state == DifferenceState::Mended { Ok(difference) } else { Err(format!("{difference:?}")) }
        })
        .await
    }

    /// Money for an order that our books don't have, as a difference.
    async fn foreign_money(&self) -> Difference {
        self.pay_beside(Uuid::now_v7(), false).await;
        self.reconcile(&NOW).await;
        self.differences(DifferenceState::Open).await.remove(0)
    }

    /// Refunds at the gateway, in number.
    async fn refunds(&self) -> usize {
        let url = format!("{}/v1/refunds?limit=100", self.simulator.url());
        let answer = self.simulator.http.get(url).bearer_auth("sk_test").send().await.expect("an answer");
        let text = answer.text().await.expect("a body");
        let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        list["data"].as_array().expect("a list").len()
    }
}

#[tokio::test]
async fn each_kind_is_mended_and_not_found_again() {
    let shop = deaf().await;
    let wanted = shop.tamper_with_all().await;
    shop.reconcile(&NOW).await;
    let open = shop.differences(DifferenceState::Open).await;
    assert_eq!(open.len(), wanted.len());
    let (ledger, shelf) = (shop.simulator.payments().await, (shop.shelf("tea").await, shop.shelf("coffee").await));
    for one in &open {
        let dry =
            shop.mend(one.id, &MendDifference { dry_run: true, ..MendDifference::default() }).await.expect("a plan");
        assert_eq!((dry.dry_run, dry.mend, &dry.difference), (true, one.kind.mend(), one));
        assert!(!dry.plan.is_empty());
        assert_eq!(shop.mend(one.id, &MendDifference::default()).await, Err("reason_required".to_owned()));
    }
    assert_eq!(ledger, shop.simulator.payments().await, "a dry run changes nothing");
    assert_eq!((shop.shelf("tea").await, shop.shelf("coffee").await), shelf);
    assert_eq!(shop.differences(DifferenceState::Open).await, open);

    for one in &open {
        shop.mend(one.id, &because("it was found")).await.expect("it is begun");
    }
    for one in &open {
        let mended = shop.until_mended(one.id).await;
        assert_eq!((mended.mended_by.as_deref(), mended.reason.as_deref()), (Some("ann"), Some("it was found")));
        assert_eq!((mended.mend, mended.mended_at.is_some()), (one.kind.mend(), true));
        assert_eq!(shop.mend(one.id, &because("again")).await, Err("difference_not_open".to_owned()));
    }
    let found = shop.reconcile(&NOW).await;
    assert_eq!((shop.open_kinds().await, &found["differences"]), (vec![], &serde_json::json!(0)));
    assert_eq!(shop.differences(DifferenceState::Mended).await.len(), wanted.len());
    assert_eq!(shop.shelf("coffee").await, (10, 0));
    let audit = shop.engine.audit(&Default::default()).await.expect("the audit").items;
    assert_eq!(audit.iter().filter(|entry| entry.action == "mend_difference").count(), wanted.len());

    // What was written off, and is worse than it was, is a difference again.
    let missing = open.iter().find(|open| open.kind == Kind::RefundTooMuch).expect("it was open");
    shop.refund_beside(missing.order_id.expect("an order"), 25).await;
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, [Kind::RefundTooMuch]);
}

#[tokio::test]
async fn of_two_mends_at_once_one_is_refused() {
    let shop = deaf().await;
    let difference = shop.foreign_money().await;
    let reason = because("both saw it");
    let (one, two) = tokio::join!(shop.mend(difference.id, &reason), shop.mend(difference.id, &reason));
    let refused = [&one, &two].into_iter().filter_map(|mend| mend.as_ref().err()).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "{one:?} {two:?}");
    assert!(["difference_being_mended", "difference_not_open"].contains(&refused[0].as_str()), "{refused:?}");
    shop.until_mended(difference.id).await;
    assert_eq!(shop.refunds().await, 1);
    assert_eq!(shop.mend(Uuid::nil(), &reason).await, Err("unknown_difference".to_owned()));
}

#[tokio::test]
async fn a_mend_that_dies_after_its_refund_refunds_once() {
    static SILENT: AtomicBool = AtomicBool::new(true);
    const SILENCE: Change = Change { answers_refunds: false, ..Change::NONE };
    let shop = Shop::with(Opening { webhooks: false, worker: false, ..Opening::default() }).await;
    shop.pay_beside(Uuid::now_v7(), false).await;
    let work = |silent: bool| {
        let gateway = shop.simulator.gateway(GATEWAY_TIMEOUT);
        let gateway: Arc<dyn backstitch::payments::PaymentGateway> =
            if silent { OddGateway::while_set(gateway, SILENCE, &SILENT) } else { Arc::new(gateway) };
        let engine = Engine::new(shop.pool.clone(), shop_registry(&shop.pool, gateway));
        let takeover_after = Duration::from_secs(2);
        let config =
            WorkerConfig { poll_interval: Duration::from_millis(50), takeover_after, ..WorkerConfig::default() };
        tokio::spawn(engine.worker(config).run(std::future::pending()))
    };
    let first = work(true);
    shop.reconcile(&NOW).await;
    let difference = shop.differences(DifferenceState::Open).await.remove(0);
    shop.mend(difference.id, &because("it is nobody's")).await.expect("it is begun");
    wait_for_within(Duration::from_secs(30), "the refund is made", async || {
        if shop.refunds().await == 1 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    first.abort();
    assert_eq!(shop.orders.difference(difference.id).await.expect("it is there").state, DifferenceState::Open);
    let again = shop.mend(difference.id, &because("still there")).await;
    assert_eq!(again, Err("difference_being_mended".to_owned()));
    SILENT.store(false, Ordering::SeqCst);
    let second = work(false);
    shop.until_mended(difference.id).await;
    assert_eq!(shop.refunds().await, 1);
    second.abort();
}

#[tokio::test]
async fn a_difference_that_changed_is_not_mended() {
    let shop = deaf().await;
    shop.stock("tea", 9).await;
    let order = shop.placed().await;
    let payment = shop.pay_beside(order, false).await;
    shop.reconcile(&NOW).await;
    let difference = shop.differences(DifferenceState::Open).await.remove(0);
    assert_eq!(difference.kind, Kind::CapturedTwice);
    let wrong = MendDifference { mend: Some(Mend::Void), ..because("void it") };
    assert_eq!(shop.mend(difference.id, &wrong).await, Err("invalid_request".to_owned()));

    // A part of it has gone back since.
    let gateway = shop.simulator.gateway(GATEWAY_TIMEOUT);
    let part = backstitch::payments::NewRefund {
        intent_id: payment,
        amount: 100,
        order_id: order.to_string(),
        metadata: Default::default(),
    };
    backstitch::payments::PaymentGateway::refund(&gateway, "part", &part).await.expect("a refund");
    let plan = shop.mend(difference.id, &because("all of it")).await.expect("it is begun");
    let run = plan.difference.mend_run.expect("a run");
    let result = shop.engine.result(run, Duration::from_secs(60)).await.expect("a run");
    assert_eq!(result.failure.expect("it failed").code, "difference_changed");
    assert_eq!((shop.refunds().await, shop.open_kinds().await), (1, vec![Kind::CapturedTwice]));

    // Seen as it is now, it can be mended by another run.
    shop.reconcile(&NOW).await;
    let plan = shop.mend(difference.id, &because("the rest")).await.expect("it is begun");
    assert!(plan.plan.contains("9.00 EUR"), "{}", plan.plan);
    shop.until_mended(difference.id).await;
    assert_eq!(shop.refunds().await, 2);
}
