//! Promise: an order and its run are one commit, and one key is one order.

use backstitch::{
    engine::{Engine, Registry},
    orders::{Delivery, NewDelivery, PutItem, ShopSettings, state::OrderState},
};

use crate::{
    shop::{Opening, Shop},
    support::shop::{open_orders, order_request},
};

async fn refusal(shop: &Shop, request: &backstitch::orders::PlaceOrder) -> &'static str {
    shop.orders.place(request, None).await.map_err(|error| error.code()).expect_err("it is refused")
}

#[tokio::test]
async fn a_key_with_another_request_conflicts() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let wanted = order_request("tok_ok", &[("tea", 1)]);
    let (one, other) = tokio::join!(shop.orders.place(&wanted, Some("k")), shop.orders.place(&wanted, Some("k")));
    let (one, other) = (one.expect("placed"), other.expect("known"));
    assert_eq!(one.order.id, other.order.id);
    assert!(one.created != other.created);
    // The price has changed since; the request has not.
    let dearer = PutItem { name: "tea".into(), price: 2000, currency: "EUR".into(), on_hand: 10, seller: None };
    shop.orders.put_item("tea", &dearer).await.expect("an item");
    let again = shop.orders.place(&wanted, Some("k")).await.expect("known");
    assert_eq!((again.created, again.order.total), (false, 1000));
    let conflict = shop.orders.place(&order_request("tok_ok", &[("tea", 2)]), Some("k")).await;
    assert_eq!(conflict.map_err(|error| error.code()).expect_err("another request"), "key_conflict");
    let counts: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM backstitch.run)")
            .fetch_one(&shop.pool)
            .await
            .expect("counts");
    assert_eq!(counts, (1, 1));
}

#[tokio::test]
async fn an_order_exists_only_with_its_run() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    sqlx::query("DELETE FROM backstitch.workflow WHERE name = 'order'").execute(&shop.pool).await.expect("deletes");
    // A process that has not got the workflow either can't start the run.
    let orders = open_orders(&Engine::new(shop.pool.clone(), Registry::new()), ShopSettings::default());
    let placed = orders.place(&order_request("tok_ok", &[("tea", 1)]), Some("k")).await;
    assert_eq!(placed.map_err(|error| error.code()).expect_err("no such workflow"), "unknown_workflow");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM shop.orders").fetch_one(&shop.pool).await.expect("n");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn senseless_requests_are_refused_with_a_code() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let yen = PutItem { name: "rice".into(), price: 5, currency: "jpy".into(), on_hand: 1, seller: None };
    shop.orders.put_item("rice", &yen).await.expect("an item");
    let gold = PutItem { name: "gold".into(), price: i64::MAX, currency: "EUR".into(), on_hand: 9, seller: None };
    shop.orders.put_item("gold", &gold).await.expect("an item");
    let good = order_request("tok_ok", &[("tea", 1)]);
    assert_eq!(refusal(&shop, &order_request("tok_ok", &[])).await, "invalid_request");
    assert_eq!(refusal(&shop, &order_request("tok_ok", &[("tea", 0)])).await, "invalid_request");
    assert_eq!(refusal(&shop, &order_request("", &[("tea", 1)])).await, "invalid_request");
    assert_eq!(refusal(&shop, &order_request("tok_ok", &[("salt", 1)])).await, "unknown_item");
    assert_eq!(refusal(&shop, &order_request("tok_ok", &[("tea", 1), ("rice", 1)])).await, "currency_mismatch");
    assert_eq!(refusal(&shop, &order_request("tok_ok", &[("gold", 2)])).await, "price_overflow");
    let dollars = backstitch::orders::PlaceOrder { currency: Some("usd".into()), ..good.clone() };
    assert_eq!(refusal(&shop, &dollars).await, "currency_mismatch");
    let twice = order_request("tok_ok", &[("tea", 1), ("tea", 2)]);
    let order = shop.orders.place(&twice, None).await.expect("added up").order;
    assert_eq!((order.items.len(), order.items[0].quantity, order.total), (1, 3, 3000));
    assert_eq!(order.state, OrderState::Created);
    let read = shop.get(order.id).await;
    assert_eq!(read, order);
}

#[tokio::test]
async fn orders_beyond_the_delivery_radius_are_refused() {
    let settings = ShopSettings { store_lat: Some(52.52), store_lon: Some(13.405), ..ShopSettings::default() };
    let shop = Shop::with(Opening { settings, worker: false, ..Opening::default() }).await;
    shop.stock("tea", 10).await;
    let to = |lat: f64| Delivery { address: "1 Main Street".into(), lat: Some(lat), lon: Some(13.405), at: None };
    let far = backstitch::orders::PlaceOrder { delivery: Some(to(52.6)), ..order_request("tok_ok", &[("tea", 1)]) };
    assert_eq!(refusal(&shop, &far).await, "delivery_too_far");
    let near = backstitch::orders::PlaceOrder { delivery: Some(to(52.53)), ..far };
    let id = shop.orders.place(&near, None).await.expect("near enough").order.id;
    let change = NewDelivery { lat: Some(52.6), lon: Some(13.405), ..NewDelivery::default() };
    let moved = shop.orders.change_delivery(id, &change).await.map_err(|error| error.code());
    assert_eq!(moved.expect_err("too far"), "delivery_too_far");
    let change = NewDelivery { address: Some("2 Main Street".into()), ..NewDelivery::default() };
    let moved = shop.orders.change_delivery(id, &change).await.expect("not dispatched yet").delivery;
    assert_eq!(moved.map(|delivery| (delivery.address, delivery.lat)), Some(("2 Main Street".into(), None)));
}

#[tokio::test]
async fn stock_never_drops_below_reservations() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_late_success", 3).await;
    shop.until(id, "its stock is held", |order| order.state == OrderState::AwaitingPayment).await;
    assert_eq!(shop.shelf("tea").await, (5, 3));
    let fewer = PutItem { name: "tea".into(), price: 1000, currency: "EUR".into(), on_hand: 2, seller: None };
    let put = shop.orders.put_item("tea", &fewer).await.map_err(|error| error.code());
    assert_eq!(put.expect_err("three are held"), "wrong_state");
}

/// Each change would write all indexes of the row anew.
#[tokio::test]
async fn no_index_of_orders_has_what_changes() {
    let shop = Shop::without_worker().await;
    let query = "SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid IN ('shop.orders'::regclass, 'shop.reservations'::regclass)";
    let indexes: Vec<String> = sqlx::query_scalar(query).fetch_all(&shop.pool).await.expect("it reads");
    assert!(indexes.len() >= 5, "{indexes:?}");
    for word in ["state", "updated_at", "captured", "refunded", "placed_at"] {
        assert!(!indexes.iter().any(|index| index.contains(word)), "{word}: {indexes:?}");
    }
}
