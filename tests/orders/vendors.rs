//! Promise: an order is paid at one vendor. It goes on to the next only where the one before has certainly not taken the money and
//! won't, and what is done about a payment later is done where the money is.

use std::time::Duration;

use backstitch::{
    engine::BreakerMode,
    gateway_sim::Config,
    orders::{
        PutItem, SetBreakers, ShopSettings,
        state::{CancelBy, CancelReason, OrderState, PaymentState},
    },
    payments::{FIRST_VENDOR, VendorKind},
};
use uuid::Uuid;

use crate::{
    shop::{Opening, Shop, request_with},
    support::{
        shop::{NORTH, Simulator, webhooks_to},
        wait_for_within,
    },
};

async fn open() -> Shop {
    let settings = ShopSettings { payment_window: Duration::from_secs(60), ..ShopSettings::default() };
    let shop = Shop::with(Opening { second: Some(Config::default()), settings, ..Opening::default() }).await;
    shop.stock("tea", 1_000).await;
    shop
}

fn north(shop: &Shop) -> &Simulator {
    shop.second.as_ref().expect("a second vendor")
}

async fn placed(shop: &Shop, id: Uuid) -> String {
    let order = shop.until(id, "it is decided", |order| order.state.is_decided()).await;
    assert_eq!((order.state, order.captured), (OrderState::Placed, 1000), "{order:?}");
    order.intent_id.expect("a payment")
}

async fn set(shop: &Shop, state: BreakerMode) {
    let set = SetBreakers { state, reason: Some("they told us".to_owned()) };
    shop.orders.set_vendor(FIRST_VENDOR, &set).await.expect("it is set");
}

#[tokio::test]
async fn an_order_goes_on_only_where_no_money_is() {
    let shop = open().await;
    let busy = shop.order_with(&[(FIRST_VENDOR, "tok_busy"), (NORTH, "tok_ok")]).await;
    let silent = shop.order_with(&[(FIRST_VENDOR, "tok_timeout_before_effect"), (NORTH, "tok_ok")]).await;
    let lost = shop.order_with(&[(FIRST_VENDOR, "tok_timeout_after_effect"), (NORTH, "tok_ok")]).await;
    let declined = shop.order_with(&[(FIRST_VENDOR, "tok_declined"), (NORTH, "tok_ok")]).await;
    let alone = shop.order_with(&[(FIRST_VENDOR, "tok_busy")]).await;
    let fine = shop.order_with(&[(FIRST_VENDOR, "tok_ok"), (NORTH, "tok_ok")]).await;
    for id in [busy, silent] {
        assert!(placed(&shop, id).await.starts_with("north:"), "{id}");
        assert_eq!((shop.moved_at(&shop.simulator, id).await, shop.moved(id).await), ((0, 0), (1000, 0)));
    }
    for id in [lost, fine] {
        assert!(placed(&shop, id).await.starts_with("pi_"), "{id}");
        assert_eq!(shop.moved(id).await, (1000, 0));
    }
    for id in [declined, alone] {
        let order = shop.until(id, "it is decided", |order| order.state.is_decided()).await;
        assert_eq!((order.cancel_reason, shop.moved(id).await), (Some(CancelReason::PaymentFailed), (0, 0)));
    }
    shop.books_agree().await;
}

#[tokio::test]
async fn an_open_breaker_sends_orders_to_the_next() {
    let shop = open().await;
    set(&shop, BreakerMode::Open).await;
    let id = shop.order_with(&[(FIRST_VENDOR, "tok_ok"), (NORTH, "tok_ok")]).await;
    assert!(placed(&shop, id).await.starts_with("north:"));
    assert_eq!(shop.simulator.payments().await.len(), 0, "nothing was sent");
    set(&shop, BreakerMode::Auto).await;
    let id = shop.order_with(&[(FIRST_VENDOR, "tok_ok"), (NORTH, "tok_ok")]).await;
    assert!(placed(&shop, id).await.starts_with("pi_"));
    let vendors = shop.orders.vendors().await.expect("reads");
    let seen: Vec<_> = vendors.iter().map(|vendor| (&*vendor.name, vendor.kind, vendor.state)).collect();
    let auto = BreakerMode::Auto;
    assert_eq!(seen, [(FIRST_VENDOR, VendorKind::Stripe, auto), (NORTH, VendorKind::Acquirer, auto)]);
}

#[tokio::test]
async fn money_goes_back_from_the_vendor_that_has_it() {
    let shop = open().await;
    let mut ids = Vec::new();
    for token in ["tok_ok", "tok_refund_pending"] {
        ids.push(shop.order_with(&[(FIRST_VENDOR, "tok_busy"), (NORTH, token)]).await);
    }
    for id in &ids {
        placed(&shop, *id).await;
        shop.cancel(*id, CancelBy::Seller).await.expect("accepted");
    }
    for id in ids {
        let order = shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
        assert_eq!((order.payment_state, order.refunded), (PaymentState::Refunded, 1000));
        assert_eq!(shop.moved_at(north(&shop), id).await, (1000, 1000));
    }
    shop.books_agree().await;
}

#[tokio::test]
async fn an_acquirers_faults_end_as_they_should() {
    let shop = open().await;
    let mut ids = Vec::new();
    for (token, is_paid) in [
        ("tok_ok", true),
        ("tok_slow", true),
        ("tok_flaky_2", true),
        ("tok_timeout_after_effect", true),
        ("tok_500_after_effect", true),
        ("tok_capture_lost", true),
        ("tok_duplicate_webhooks", true),
        ("tok_no_webhook", true),
        ("tok_authorisation_expires", false),
        ("tok_declined", false),
    ] {
        ids.push((token, is_paid, shop.order_with(&[(NORTH, token)]).await));
    }
    for (token, is_paid, id) in ids {
        let order = shop.until(id, token, |order| order.state.is_decided()).await;
        let should = if is_paid { (OrderState::Placed, (1000, 0)) } else { (OrderState::Cancelled, (0, 0)) };
        assert_eq!((order.state, shop.moved(id).await), should, "{token}: {order:?}");
    }
    shop.books_agree().await;
}

#[tokio::test]
async fn a_second_vendors_late_money_is_not_lost() {
    let settings = ShopSettings { payment_window: Duration::from_secs(4), ..ShopSettings::default() };
    let shop = Shop::with(Opening { second: Some(Config::default()), settings, ..Opening::default() }).await;
    shop.stock("tea", 10).await;
    let id = shop.order_with(&[(NORTH, "tok_late_success")]).await;
    shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    // The stock is there again, so the late payment's run places the order.
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    placed(&shop, id).await;
    assert_eq!(shop.moved(id).await, (1000, 0));
    shop.books_agree().await;
}

#[tokio::test]
async fn what_no_vendor_can_take_is_refused_and_changes_nothing() {
    let shop = open().await;
    for tokens in [&[][..], &[("south", "tok_ok")], &[(NORTH, "")]] {
        let refused = shop.orders.place(&request_with(tokens), None).await;
        assert_eq!(refused.map_err(|error| error.code()).err(), Some("invalid_request"), "{tokens:?}");
    }
    let taken = shop.orders.webhook("south", |_| None, b"{}").await.map_err(|error| error.code());
    assert_eq!(taken, Err("unknown_vendor"));
    let taken = shop.orders.webhook(NORTH, |_| Some("00"), b"{}").await.map_err(|error| error.code());
    assert_eq!(taken, Err("signature_mismatch"));

    // The decimals of this currency are not known, so no amount is sent.
    let item = PutItem { name: "tea".to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand: 5, seller: None };
    shop.orders.put_item("odd", &item).await.expect("an item");
    let before_codes_were_checked = "UPDATE shop.items SET currency = 'ZZZ' WHERE sku = 'odd'";
    sqlx::query(before_codes_were_checked).execute(&shop.pool).await.expect("it is changed");
    let mut request = request_with(&[(NORTH, "tok_ok")]);
    request.items[0].sku = "odd".to_owned();
    let id = shop.orders.place(&request, None).await.expect("an order").order.id;
    let order = shop.until(id, "it is decided", |order| order.state.is_decided()).await;
    assert_eq!((order.cancel_reason, order.captured), (Some(CancelReason::PaymentFailed), 0));
    assert_eq!(north(&shop).payments().await.len(), 0);
}

/// How many orders are under way while both vendors are killed and come back.
const MANY: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vendors_that_die_and_come_back_take_each_order_once() {
    let file = |name: &str| std::env::temp_dir().join(format!("{name}-{}.jsonl", Uuid::new_v4()));
    let (first_file, second_file) = (file("stripe"), file("north"));
    let ledger = |file: &std::path::Path| Config { ledger: Some(file.to_owned()), ..Config::default() };
    let opening = Opening { gateway: ledger(&first_file), second: Some(ledger(&second_file)), ..Opening::default() };
    let mut shop = Shop::with(opening).await;
    shop.stock("tea", 1_000).await;
    let mut ids = Vec::new();
    for n in 0..MANY {
        let first = if n % 3 == 0 { "tok_busy" } else { "tok_ok" };
        ids.push(shop.order_with(&[(FIRST_VENDOR, first), (NORTH, "tok_ok")]).await);
        if n % 40 == 20 {
            restart(&mut shop.simulator, ledger(&first_file)).await;
        }
        if n % 40 == 30 {
            restart(shop.second.as_mut().expect("a second vendor"), {
                Config { kind: VendorKind::Acquirer, ..ledger(&second_file) }
            })
            .await;
        }
    }
    let mut placed = 0;
    for id in &ids {
        let order = wait_for_within(Duration::from_secs(150), "it is decided", async || {
            let order = shop.get(*id).await;
            if order.state.is_decided() { Ok(order) } else { Err(format!("{order:?}")) }
        })
        .await;
        let kept = if order.state == OrderState::Placed { 1000 } else { 0 };
        placed += usize::from(kept > 0);
        let (captured, refunded) = shop.moved(*id).await;
        assert_eq!((captured - refunded, captured <= 1000), (kept, true), "{order:?}");
    }
    assert!(placed > MANY / 2, "{placed} placed");
    shop.books_agree().await;
    for file in [first_file, second_file] {
        let _ = std::fs::remove_file(file);
    }
}

/// Kills a simulator and starts it again from its ledger, on the same port. What it was doing is broken off.
async fn restart(simulator: &mut Simulator, config: Config) {
    let address = simulator.running.addr();
    let webhooks = webhooks_to(String::new());
    let elsewhere = Simulator::start(Config { webhook_secret: webhooks.webhook_secret, ..Config::default() }).await;
    let old = std::mem::replace(simulator, elsewhere);
    old.running.stop().await.expect("it stops");
    *simulator = Simulator::start_at(address, config).await;
}
