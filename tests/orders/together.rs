//! Promise: orders and webhooks that come at the same moment share commits, and none is the others' business.

use std::{collections::BTreeSet, time::Duration};

use backstitch::{
    orders::{Contact, Error, PlaceOrder, Placed, ShopSettings, WebhookTaken},
    payments::{Secret, sign},
};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    shop::{Opening, Shop},
    support::{
        backend_pid,
        shop::{open_orders, order_request},
        wait_until,
    },
};

/// The event that webhooks bring here.
const KIND: &str = "payment_intent.succeeded";

/// A shop with tea.
async fn open() -> Shop {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 1_000).await;
    shop
}

/// A request for some of it.
fn tea(quantity: i64) -> PlaceOrder {
    order_request("tok_ok", &[("tea", quantity)])
}

/// The same with twenty orders.
async fn open_with_orders() -> (Shop, Vec<Uuid>) {
    let (shop, wanted) = (open().await, tea(1));
    let placed = join_all((0..20).map(|_| shop.orders.place(&wanted, None))).await;
    (shop, placed.into_iter().map(|placed| placed.expect("placed").order.id).collect())
}

async fn count(shop: &Shop, what: &'static str) -> i64 {
    sqlx::query_scalar(what).fetch_one(&shop.pool).await.expect("a count")
}

fn code(placed: &Result<Placed, Error>) -> &'static str {
    placed.as_ref().map_or_else(Error::code, |placed| if placed.created { "created" } else { "known" })
}

/// What is asked for as the n-th: some of it is refused.
fn request(n: usize) -> PlaceOrder {
    let mut request = match n % 10 {
        3 => order_request("tok_ok", &[("nothing", 1)]),
        5 => order_request("tok_ok", &[("tea", 2), ("gold", 1)]),
        _ => order_request("tok_ok", &[("tea", 1), ("rice", 2)]),
    };
    let email = Some(format!("c{n}@example.com"));
    request.contact = n.is_multiple_of(2).then_some(Contact { email, phone: None, locale: None });
    request
}

#[tokio::test]
async fn orders_that_come_together_share_commits() {
    let shop = open().await;
    shop.stock("rice", 1_000).await;
    let requests: Vec<_> = (0..100).map(|n| (request(n), format!("k{n}"))).collect();
    let placed = join_all(requests.iter().map(|(request, key)| shop.orders.place(request, Some(key)))).await;
    let mut ids = BTreeSet::new();
    for (n, placed) in placed.iter().enumerate() {
        let expected = if matches!(n % 10, 3 | 5) { "unknown_item" } else { "created" };
        assert_eq!(code(placed), expected, "{n}");
        if let Ok(placed) = placed {
            ids.insert(placed.order.id);
            let kept = shop.get(placed.order.id).await;
            assert_eq!((kept.items, kept.created_at), (placed.order.items.clone(), placed.order.created_at));
        }
    }
    assert_eq!(ids.len(), 80);
    let counts = [
        count(&shop, "SELECT count(*) FROM shop.orders o JOIN backstitch.run r ON r.id = o.run_id").await,
        count(&shop, "SELECT count(*) FROM shop.order_keys").await,
        count(&shop, "SELECT count(*) FROM shop.order_contact").await,
        count(&shop, "SELECT count(*) FROM shop.event WHERE type = 'order.created'").await,
        count(&shop, "SELECT count(*) FROM shop.orders o JOIN shop.order_contact c ON c.order_id = o.id").await,
    ];
    assert_eq!(counts, [80, 80, 50, 80, 50]);
    let commits = count(&shop, "SELECT count(DISTINCT xmin::text) FROM shop.orders").await;
    assert!(commits < 40, "{commits} commits");
    // What was refused has taken no key.
    shop.stock("gold", 10).await;
    assert_eq!(code(&shop.orders.place(&request(5), Some("k5")).await), "created");
}

#[tokio::test]
async fn a_key_that_comes_twice_at_once_is_one_order() {
    let shop = open().await;
    let (one, two) = (tea(1), tea(2));
    let place = |n: usize| {
        let key = format!("k{}", n % 3);
        let request = if n % 20 == 19 { two.clone() } else { one.clone() };
        let shop = &shop;
        async move { shop.orders.place(&request, Some(&key)).await }
    };
    // The first of each key is a request for one.
    let first = join_all((0..3).map(place)).await;
    let placed = join_all((3..60).map(place)).await;
    assert_eq!(first.iter().map(code).collect::<Vec<_>>(), ["created"; 3]);
    for (n, placed) in (3..60).zip(&placed) {
        assert_eq!(code(placed), if n % 20 == 19 { "key_conflict" } else { "known" }, "{n}");
        if let Ok(placed) = placed {
            assert_eq!(Some(placed.order.id), first[n % 3].as_ref().ok().map(|first| first.order.id));
        }
    }
    let again = join_all((0..60).map(|n| {
        let key = format!("new{}", n % 3);
        let (shop, request) = (&shop, one.clone());
        async move { shop.orders.place(&request, Some(&key)).await }
    }))
    .await;
    assert_eq!(again.iter().filter(|placed| code(placed) == "created").count(), 3);
    assert_eq!(again.iter().filter(|placed| code(placed) == "known").count(), 57);
    assert_eq!(count(&shop, "SELECT count(*) FROM shop.orders").await, 6);
}

#[tokio::test]
async fn too_many_of_a_customer_are_refused_among_others() {
    let settings = ShopSettings { orders_in_flight: Some(3), ..ShopSettings::default() };
    let shop = Shop::with(Opening { worker: false, settings, ..Opening::default() }).await;
    shop.stock("tea", 1_000).await;
    // Of eight customers ten each; the last of each is the first once more.
    let place = |n: usize| {
        let wanted = PlaceOrder { customer_id: format!("c{}", n % 8), ..order_request("tok_ok", &[("tea", 1)]) };
        let shop = &shop;
        async move { shop.orders.place(&wanted, Some(&format!("k{}", n % 72))).await }
    };
    let placed = join_all((0..80).map(place)).await;
    let codes: Vec<&str> = placed.iter().map(code).collect();
    for customer in 0..8 {
        let created = codes.iter().skip(customer).step_by(8).filter(|code| **code == "created").count();
        assert_eq!(created, 3, "{codes:?}");
        let twice = [codes[customer], codes[customer + 72]];
        assert!(!twice.contains(&"created") || twice.contains(&"known"), "{twice:?}");
        assert!(twice.contains(&"created") || twice == ["rate_limited"; 2], "{twice:?}");
    }
    assert!(codes.iter().all(|code| ["created", "known", "rate_limited"].contains(code)), "{codes:?}");
    assert_eq!(count(&shop, "SELECT count(*) FROM shop.orders").await, 24);
    assert_eq!(count(&shop, "SELECT count(*) FROM backstitch.run").await, 24);
    assert_eq!(count(&shop, "SELECT count(*) FROM shop.order_keys").await, 24, "who is refused takes no key");
    let commits = count(&shop, "SELECT count(DISTINCT xmin::text) FROM shop.orders").await;
    assert!(commits < 16, "{commits} commits");
    let refused = codes.iter().position(|code| *code == "rate_limited").expect("some are");
    let end = "UPDATE shop.orders SET state = 'cancelled', cancel_reason = 'customer' WHERE customer_id = $1";
    sqlx::query(end).bind(format!("c{}", refused % 8)).execute(&shop.pool).await.expect("they end");
    assert_eq!(code(&place(refused).await), "created");
}

#[tokio::test]
async fn servers_do_not_both_place_a_customers_last_order() {
    let settings = || ShopSettings { orders_in_flight: Some(1), ..ShopSettings::default() };
    let shop = Shop::with(Opening { worker: false, settings: settings(), ..Opening::default() }).await;
    shop.stock("tea", 1_000).await;
    // Orders may be read and counted, and none is written.
    let mut held = shop.pool.begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE shop.orders IN SHARE MODE").execute(&mut *held).await.expect("it is locked");
    let placing = [shop.orders.clone(), open_orders(&shop.engine, settings())].map(|orders| {
        let wanted = tea(1);
        tokio::spawn(async move { orders.place(&wanted, None).await })
    });
    let blocked = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
    wait_until("both wait", async || count(&shop, blocked).await == 2).await;
    held.rollback().await.expect("it is free");
    let placed = join_all(placing).await.into_iter().map(|placed| code(&placed.expect("it ends")));
    assert_eq!(placed.collect::<BTreeSet<_>>(), BTreeSet::from(["created", "rate_limited"]));
}

#[tokio::test]
async fn an_order_that_waits_holds_up_no_other() {
    let shop = open().await;
    let mut open = shop.pool.begin().await.expect("a transaction");
    let take = "INSERT INTO shop.order_keys (key, order_id, hash) SELECT 'held' || n, gen_random_uuid(), ''
        FROM generate_series(0, 3) n";
    sqlx::query(take).execute(&mut *open).await.expect("keys");
    let wanted = tea(1);
    let waiting: Vec<_> = (0..4)
        .map(|n| {
            let (orders, wanted) = (shop.orders.clone(), wanted.clone());
            tokio::spawn(async move { orders.place(&wanted, Some(&format!("held{n}"))).await })
        })
        .collect();
    let others = join_all((0..40).map(|_| shop.orders.place(&wanted, None)));
    let others = tokio::time::timeout(Duration::from_secs(20), others).await.expect("they don't wait for it");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    assert!(waiting.iter().all(|placed| !placed.is_finished()), "the key's owner is not known yet");
    open.rollback().await.expect("it is rolled back");
    for placed in join_all(waiting).await {
        assert_eq!(code(&placed.expect("it ends")), "created");
    }
}

fn event(id: &str, order: Uuid, kind: &str, created: i64) -> Vec<u8> {
    let object = json!({"id": format!("pi_{}", order.simple()), "object": "payment_intent", "status": "succeeded",
        "amount": 1000, "amount_received": 1000, "currency": "eur",
        "metadata": {"order_id": order.to_string()}, "last_payment_error": null});
    json!({"id": id, "type": kind, "created": created, "data": {"object": object}}).to_string().into_bytes()
}

fn now_s() -> i64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs().try_into().expect("it fits")
}

/// The news of a payment that succeeded long ago.
async fn send(shop: &Shop, id: String, order: Uuid, kind: &str) -> WebhookTaken {
    send_event(shop, event(&id, order, kind, 1)).await
}

async fn send_event(shop: &Shop, body: Vec<u8>) -> WebhookTaken {
    let header = sign(&[Secret::new("whsec_test")], now_s(), &body);
    shop.orders.webhook("stripe", |_| Some(&header), &body).await.expect("it is taken")
}

#[tokio::test]
async fn webhooks_that_come_together_share_commits() {
    let (shop, orders) = open_with_orders().await;
    // Three events of each order, each sent twice; some of no order, and some that nobody uses.
    let all = (0..160).map(|n| match n {
        0..120 => send(&shop, format!("evt_{}", n % 60), orders[n % 20], KIND),
        120..140 => send(&shop, format!("stray_{n}"), Uuid::now_v7(), KIND),
        _ => send(&shop, format!("other_{n}"), orders[n % 20], "customer.created"),
    });
    let taken = join_all(all).await;
    for (what, expected) in [
        (WebhookTaken::Signalled, 60),
        (WebhookTaken::Duplicate, 60),
        (WebhookTaken::NoOrder, 20),
        (WebhookTaken::OfNoUse, 20),
    ] {
        assert_eq!(taken.iter().filter(|taken| **taken == what).count(), expected, "{what:?}");
    }
    let handled = "SELECT handled, count(*) FROM shop.webhook_events GROUP BY 1 ORDER BY 1";
    let handled: Vec<(String, i64)> = sqlx::query_as(handled).fetch_all(&shop.pool).await.expect("counts");
    let expected = [("no_order", 20), ("of_no_use", 20), ("signalled", 60)];
    assert_eq!(handled, expected.map(|(word, count)| (word.to_owned(), count)));
    assert_eq!(count(&shop, "SELECT count(*) FROM backstitch.signal").await, 60);
    assert_eq!(
        count(&shop, "SELECT min(n) FROM (SELECT count(*) n FROM backstitch.signal GROUP BY run_id) s").await,
        3
    );
    let commits = count(&shop, "SELECT count(DISTINCT xmin::text) FROM shop.webhook_events").await;
    assert!(commits < 70, "{commits} commits");
}

#[tokio::test]
async fn a_webhook_that_waits_holds_up_no_other() {
    let (shop, orders) = open_with_orders().await;
    let mut open = shop.pool.begin().await.expect("a transaction");
    sqlx::query("SELECT FROM shop.orders WHERE id = $1 FOR UPDATE")
        .bind(orders[0])
        .execute(&mut *open)
        .await
        .expect("locked");
    let held = send(&shop, "held".to_owned(), orders[0], KIND);
    let others = join_all((1..20).map(|n| send(&shop, format!("evt_{n}"), orders[n], KIND)));
    tokio::pin!(held);
    let others = tokio::select! {
        _ = &mut held => panic!("its order is locked"),
        others = tokio::time::timeout(Duration::from_secs(20), others) => others.expect("they don't wait for it"),
    };
    assert_eq!(others, [WebhookTaken::Signalled; 19]);
    let commits = count(&shop, "SELECT count(DISTINCT xmin::text) FROM shop.webhook_events").await;
    assert!(commits < 5, "the locked one was left out, the others went together: {commits} commits");
    open.rollback().await.expect("it is rolled back");
    assert_eq!(held.await, WebhookTaken::Signalled);
}

/// What the order shows once its charge is confirmed.
async fn book(conn: &mut PgConnection, order: Uuid, captured: i64) {
    let query = "UPDATE shop.orders SET captured = $2, intent_id = $3 WHERE id = $1";
    let intent = format!("pi_{}", order.simple());
    sqlx::query(query).bind(order).bind(captured).bind(intent).execute(conn).await.expect("it is booked");
}

#[tokio::test]
async fn news_that_the_order_shows_is_told_to_nobody() {
    let (shop, orders) = open_with_orders().await;
    let mut conn = shop.pool.acquire().await.expect("a connection");
    book(&mut conn, orders[0], 1000).await;
    book(&mut conn, orders[1], 999).await;
    for (n, expected) in [(0, WebhookTaken::Booked), (1, WebhookTaken::Signalled), (2, WebhookTaken::Signalled)] {
        assert_eq!(send(&shop, format!("evt_{n}"), orders[n], KIND).await, expected, "{n}");
    }
    assert_eq!(send(&shop, "evt_0".to_owned(), orders[0], KIND).await, WebhookTaken::Duplicate);
    assert_eq!(count(&shop, "SELECT count(*) FROM backstitch.signal").await, 2);
    assert_eq!(count(&shop, "SELECT count(*) FROM shop.webhook_events WHERE handled = 'booked'").await, 1);
}

#[tokio::test]
async fn news_of_just_now_waits_for_the_charges_own_answer() {
    let (shop, orders) = open_with_orders().await;
    book(&mut shop.pool.acquire().await.expect("a connection"), orders[0], 1000).await;
    let fresh = |n: usize| send_event(&shop, event(&format!("evt_{n}"), orders[n], KIND, now_s()));
    let began = std::time::Instant::now();
    assert_eq!(join_all([fresh(0), fresh(1)]).await, [WebhookTaken::Booked, WebhookTaken::Signalled]);
    assert!(began.elapsed() >= Duration::from_millis(250));
    let handled = "SELECT handled FROM shop.webhook_events ORDER BY id";
    let handled: Vec<String> = sqlx::query_scalar(handled).fetch_all(&shop.pool).await.expect("reads");
    assert_eq!(handled, ["booked", "signalled"]);
}

#[tokio::test]
async fn what_is_booked_while_its_news_waits_signals_nobody() {
    let (shop, orders) = open_with_orders().await;
    let mut charge = shop.pool.begin().await.expect("a transaction");
    book(&mut charge, orders[0], 1000).await;
    let pid = backend_pid(&mut charge).await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
    let books = async {
        wait_until("the news waits for its order", async || {
            let waiting: i64 = sqlx::query_scalar(waits).bind(pid).fetch_one(&shop.pool).await.expect("counts");
            waiting == 1
        })
        .await;
        charge.commit().await.expect("it is booked");
    };
    let news = send_event(&shop, event("evt_0", orders[0], KIND, now_s()));
    assert_eq!(tokio::join!(news, books).0, WebhookTaken::Booked);
    assert_eq!(count(&shop, "SELECT count(*) FROM backstitch.signal").await, 0);
}
