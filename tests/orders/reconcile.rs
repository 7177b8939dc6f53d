//! Promise: a comparison with the gateway finds each kind of difference, and only differences.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use backstitch::{
    engine::{HoldKind, Operator, Verb},
    orders::{
        ShopSettings,
        difference::{DifferenceKind as Kind, DifferenceState, Mend},
        runs::ReconcileInput,
        state::{OrderState, StockState},
    },
};
use serde_json::json;

use crate::{
    books::NOW,
    odd_gateway::{Change, OddGateway, unreadable},
    shop::{Opening, Shop},
    support::{shop::GATEWAY_TIMEOUT, wait_until_within},
};

/// A shop whose webhooks are lost.
async fn deaf() -> Shop {
    Shop::with(Opening { webhooks: false, ..Opening::default() }).await
}

#[tokio::test]
async fn each_kind_is_found_once_and_closed_when_gone() {
    let shop = deaf().await;
    let wanted = shop.tamper_with_all().await;
    let first = shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, wanted, "{first}");
    assert_eq!(first["differences"], wanted.len());
    let seen = shop.differences(DifferenceState::Open).await;
    for open in &seen {
        let money = !matches!(open.kind, Kind::StockDiffers | Kind::StockKept);
        assert_eq!(open.currency.as_deref(), money.then_some("EUR"), "{open:?}");
        assert!(open.expected != open.actual || open.kind == Kind::LeftAlone, "{open:?}");
    }
    let amounts = |kind| seen.iter().find(|open| open.kind == kind).map(|open| (open.expected, open.actual));
    assert_eq!(amounts(Kind::CapturedTwice), Some((0, 1000)));
    assert_eq!(amounts(Kind::CaptureMissing), Some((1000, 0)));
    assert_eq!(amounts(Kind::AmountDiffers), Some((999, 1000)));
    assert_eq!(amounts(Kind::RefundMissing), Some((800, 700)));
    assert_eq!(amounts(Kind::RefundTooMuch), Some((0, 50)));
    assert_eq!(amounts(Kind::StockDiffers), Some((0, 1)));

    // Two at once see each again, and make none twice.
    let both = tokio::join!(shop.reconcile(&NOW), shop.reconcile(&NOW));
    assert_eq!((&both.0["differences"], &both.1["differences"]), (&json!(wanted.len()), &json!(wanted.len())));
    let again = shop.differences(DifferenceState::Open).await;
    assert_eq!(again.len(), seen.len());
    for (now, then) in again.iter().zip(&seen) {
        assert_eq!((now.id, now.first_seen), (then.id, then.first_seen));
        assert!(now.last_seen > then.last_seen, "{now:?}");
    }

    let item = again.iter().find(|open| open.kind == Kind::StockDiffers).expect("it is open");
    sqlx::query("UPDATE shop.items SET held = 0 WHERE sku = $1")
        .bind(&item.sku)
        .execute(&shop.pool)
        .await
        .expect("set");
    let amount = again.iter().find(|open| open.kind == Kind::AmountDiffers).expect("it is open");
    let right = "UPDATE shop.orders SET captured = 1000, total = 1000 WHERE id = $1";
    shop.sql(right, amount.order_id.expect("an order")).await;
    let line = "UPDATE shop.order_items SET price = 1000 WHERE order_id = $1";
    shop.sql(line, amount.order_id.expect("an order")).await;
    shop.reconcile(&NOW).await;
    let mut gone: Vec<Kind> = shop.differences(DifferenceState::Gone).await.iter().map(|gone| gone.kind).collect();
    gone.sort();
    assert_eq!(gone, [Kind::AmountDiffers, Kind::StockDiffers]);
    assert_eq!(shop.open_kinds().await.len(), wanted.len() - 2);
}

#[tokio::test]
async fn an_abandoned_order_is_listed_and_not_paid_again() {
    let shop = deaf().await;
    shop.stock("tea", 9).await;
    let by = Operator { actor: "ann".to_owned(), reason: Some("it hangs".to_owned()), ..Operator::default() };
    shop.engine.hold(HoldKind::Activity, "confirm", &by).await.expect("it is held");
    let id = shop.order("tok_ok", 1).await;
    let run = shop.get(id).await.run_id;
    let aside = "SELECT count(*) FROM backstitch.ready WHERE queue = '@activity/confirm'";
    let is_held = async || sqlx::query_scalar::<_, i64>(aside).fetch_one(&shop.pool).await.expect("a count") == 1;
    wait_until_within(Duration::from_secs(30), "it is paid, and goes no further", is_held).await;
    assert_eq!(shop.moved(id).await, (1000, 0));
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, [], "its run will see to it");
    shop.engine.apply_verb(run, &Verb::Abandon, &by).await.expect("it is abandoned");
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, [Kind::CaptureUnbooked, Kind::LeftAlone]);

    // Another run of the same order neither pays nor gives it up.
    let steps = shop.engine.run(run).await.expect("a run").steps.expect("its steps");
    let pays = steps.iter().find(|step| step.name == "create_intent").expect("it paid").seq;
    let fork = shop.engine.fork(run, pays, None, &by).await.expect("it begins").new_run.expect("a run");
    let ended = shop.engine.result(fork, Duration::from_secs(60)).await.expect("a run");
    let why = ended.failure.map(|failure| failure.code);
    assert_eq!(
        (ended.status.to_string(), why.as_deref()),
        ("compensated".to_owned(), Some("belongs_to_another_order"))
    );
    let order = shop.get(id).await;
    assert_eq!((order.state, order.run_id, shop.moved(id).await), (OrderState::AwaitingPayment, run, (1000, 0)));

    for one in shop.differences(DifferenceState::Open).await {
        shop.mended(one.id).await;
    }
    let order = shop.get(id).await;
    assert_eq!((order.state, order.stock_state), (OrderState::Cancelled, StockState::Released));
    assert_eq!((shop.moved(id).await, shop.item("tea").await.available), ((1000, 1000), 9));
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, []);
}

#[tokio::test]
async fn what_an_orders_own_records_say_is_compared() {
    let shop = deaf().await;
    shop.stock("tea", 9).await;
    let mut wrong = Vec::new();
    for query in [
        "UPDATE shop.order_items SET quantity = 2, price = 500 WHERE order_id = $1",
        "UPDATE shop.order_items SET price = 999 WHERE order_id = $1",
        "UPDATE shop.reservations SET quantity = 5 WHERE order_id = $1",
        "DELETE FROM shop.reservations WHERE order_id = $1",
        "UPDATE shop.orders SET payment_state = 'refunded' WHERE id = $1",
    ] {
        wrong.push(shop.placed().await);
        shop.sql(query, wrong[wrong.len() - 1]).await;
    }
    shop.reconcile(&NOW).await;
    let open = shop.differences(DifferenceState::Open).await;
    assert!(open.iter().all(|open| open.kind == Kind::BooksDiffer && open.mend == Mend::WriteOff), "{open:?}");
    let mut found: Vec<_> = open.iter().filter_map(|open| open.order_id).collect();
    found.sort();
    assert_eq!(found, wrong);
    assert_eq!(shop.orders.book_breaches().await.expect("reads").len(), wrong.len());

    // What was written off is accepted by everybody who looks.
    for one in &open {
        shop.mended(one.id).await;
    }
    assert_eq!(shop.orders.book_breaches().await.expect("reads"), [""; 0]);
    let gateway = shop.simulator.gateway(GATEWAY_TIMEOUT);
    assert_eq!(shop.orders.compare(&gateway, &NOW).await.expect("reads").differences, []);
}

#[tokio::test]
async fn a_busy_shop_with_faults_has_no_difference() {
    let settings = ShopSettings { payment_window: Duration::from_secs(3), ..ShopSettings::default() };
    let shop = Shop::with(Opening { settings, ..Opening::default() }).await;
    shop.stock("tea", 1_000).await;
    let tokens = [
        "tok_ok",
        "tok_declined",
        "tok_timeout_before_effect",
        "tok_timeout_after_effect",
        "tok_500_after_effect",
        "tok_slow",
        "tok_late_success",
        "tok_refund_pending",
        "tok_duplicate_webhooks",
        "tok_no_webhook",
        "tok_flaky_2",
    ];
    let quick = ReconcileInput { second_look_ms: 300, ..NOW };
    let mut ids = Vec::new();
    for round in 0..4 {
        for token in tokens {
            ids.push(shop.order(token, 1).await);
        }
        for id in ids.iter().rev().step_by(3) {
            drop(shop.cancel(*id, backstitch::orders::state::CancelBy::Customer).await);
        }
        let found = shop.reconcile(&quick).await;
        assert_eq!(shop.open_kinds().await, [], "round {round}: {found}");
    }
    let found = shop.reconcile(&quick).await;
    assert!(found["orders"].as_i64() > Some(20), "{found}");
    let ever: i64 =
        sqlx::query_scalar("SELECT count(*) FROM shop.difference").fetch_one(&shop.pool).await.expect("reads");
    assert_eq!(ever, 0);
}

#[tokio::test]
async fn a_gateway_that_is_down_makes_no_difference() {
    let shop = deaf().await;
    shop.stock("tea", 9).await;
    shop.sell_too_cheap(shop.placed().await).await;
    shop.simulator.sim("PUT", "faults", Some(&json!({"unavailable": true}))).await;
    let run = shop.orders.reconcile(&NOW).await.expect("it is started");
    shop.until_refused(run, "HTTP 503").await;
    assert_eq!(shop.open_kinds().await, []);
    shop.simulator.sim("PUT", "faults", Some(&json!({"unavailable": false}))).await;
    let found = shop.until_ended(run).await;
    assert_eq!((found["differences"].as_i64(), shop.open_kinds().await), (Some(1), vec![Kind::AmountDiffers]));
    let comparison = shop.orders.reconciliation(None).await.expect("it is read").expect("the latest");
    assert_eq!((comparison.run_id, comparison.error, comparison.differences), (run, None, 1));
    assert!(comparison.ended_at.is_some());
}

#[tokio::test]
async fn what_an_answer_leaves_out_is_no_difference() {
    static ODD: AtomicBool = AtomicBool::new(false);
    const CHANGE: Change = Change { intent: |_| Err(unreadable()), ..Change::NONE };
    let opening =
        Opening { port: |gateway| OddGateway::while_set(gateway, CHANGE, &ODD), webhooks: false, ..Opening::default() };
    let shop = Shop::with(opening).await;
    shop.stock("tea", 9).await;
    shop.sell_too_cheap(shop.placed().await).await;
    ODD.store(true, Ordering::SeqCst);
    let found = shop.reconcile(&NOW).await;
    assert_eq!((found["unknown"].as_i64() > Some(0), shop.open_kinds().await), (true, vec![]), "{found}");
    ODD.store(false, Ordering::SeqCst);
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, [Kind::AmountDiffers]);
    // A difference that can't be looked at stays open.
    ODD.store(true, Ordering::SeqCst);
    shop.reconcile(&NOW).await;
    assert_eq!(shop.open_kinds().await, [Kind::AmountDiffers]);
}

#[tokio::test]
async fn what_changed_within_the_grace_is_under_way() {
    let shop = deaf().await;
    shop.stock("tea", 9).await;
    shop.sell_too_cheap(shop.placed().await).await;
    shop.pay_beside(uuid::Uuid::now_v7(), false).await;
    let patient = ReconcileInput { grace_ms: 60_000, ..NOW };
    let found = shop.reconcile(&patient).await;
    assert_eq!((found["differences"].as_i64(), shop.open_kinds().await), (Some(0), vec![]), "{found}");
    shop.pass(Duration::from_secs(61)).await;
    shop.reconcile(&patient).await;
    assert_eq!(shop.open_kinds().await, [Kind::CapturedWithoutOrder, Kind::AmountDiffers]);

    // A payment of long ago, and an order that has just changed.
    let order = shop.placed().await;
    shop.pass(Duration::from_secs(61)).await;
    shop.sql("UPDATE shop.orders SET captured = 998, total = 998, updated_at = shop.now() WHERE id = $1", order).await;
    shop.sql("UPDATE shop.order_items SET price = 998 WHERE order_id = $1", order).await;
    shop.reconcile(&patient).await;
    assert_eq!(shop.open_kinds().await.len(), 2);
    shop.pass(Duration::from_secs(61)).await;
    shop.reconcile(&patient).await;
    assert_eq!(shop.open_kinds().await.len(), 3);
}
