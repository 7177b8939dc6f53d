//! Promise: each change of an order, of its payment and of stock crossing zero is an event, in the order in which it happened,
//! if and only if it is committed; and none of them says what is the customer's own.

use std::collections::BTreeSet;

use backstitch::{
    engine::outbox::{Event, EventFilter},
    orders::{
        Delivery, EVENT_TYPES, Fulfilment, NewDelivery, PutItem,
        state::{CancelBy, OrderState, PaymentState},
    },
};
use uuid::Uuid;

use crate::{shop::Shop, support::shop::order_request};

/// All events of a subject.
async fn events(shop: &Shop, subject: &str) -> Vec<Event> {
    while shop.engine.number_events().await.expect("numbers").1 {}
    let filter = EventFilter { subject: Some(subject.to_owned()), limit: Some(200), ..EventFilter::default() };
    shop.engine.events(&filter).await.expect("reads").items
}

fn types(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

async fn types_of(shop: &Shop, order: Uuid) -> Vec<String> {
    types(&events(shop, &order.to_string()).await).into_iter().map(str::to_owned).collect()
}

fn somewhere() -> NewDelivery {
    NewDelivery { address: Some("7 Quiet Lane".to_owned()), ..NewDelivery::default() }
}

#[tokio::test]
async fn an_orders_events_are_its_life_in_order() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let mut request = order_request("tok_ok", &[("tea", 2)]);
    request.delivery = Some(Delivery { address: "1 Secret Street".to_owned(), lat: None, lon: None, at: None });
    let id = shop.orders.place(&request, None).await.expect("an order").order.id;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.orders.change_delivery(id, &somewhere()).await.expect("changed");
    shop.orders.report(id, Fulfilment::Shipped).await.expect("shipped");
    shop.orders.report(id, Fulfilment::Delivered).await.expect("delivered");
    shop.until(id, "it is delivered", |order| order.state == OrderState::Delivered).await;
    let all = events(&shop, &id.to_string()).await;
    let expected = [
        "order.created",
        "order.awaiting_payment",
        "payment.captured",
        "order.placed",
        "order.updated",
        "order.processing",
        "order.shipped",
        "order.delivered",
    ];
    assert_eq!(types(&all), expected);
    assert_eq!(all[0].data["items"][0]["sku"], "tea");
    assert_eq!((&all[3].data["state"], &all[3].data["previous"]), (&"placed".into(), &"awaiting_payment".into()));
    assert_eq!((&all[2].data["captured"], &all[2].data["currency"]), (&2000.into(), &"EUR".into()));
    let said = serde_json::to_string(&all).expect("JSON");
    for own in ["Secret Street", "Quiet Lane", "tok_ok", "contact", "address"] {
        assert!(!said.contains(own), "{own} is the customer's: {said}");
    }
    assert!(all.iter().all(|event| EVENT_TYPES.contains(&event.event_type.as_str())));
}

#[tokio::test]
async fn a_cancelled_orders_events_say_why_and_what_went_back() {
    let shop = Shop::open().await;
    shop.stock("tea", 2).await;
    let id = shop.order("tok_ok", 2).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.cancel(id, CancelBy::Seller).await.expect("sellers may");
    shop.until(id, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    let all = events(&shop, &id.to_string()).await;
    let mut ends: Vec<&str> = types(&all).split_off(4);
    ends.sort_unstable();
    assert_eq!(ends, ["order.cancelled", "order.cancelling", "payment.refunded"]);
    let of = |event_type: &str| all.iter().find(|event| event.event_type == event_type).expect("it is there");
    assert_eq!(of("order.cancelling").data["cancel_reason"], "seller");
    assert_eq!(of("payment.refunded").data["refunded"], 2000);
    assert_eq!(types(&events(&shop, "tea").await), ["stock.depleted", "stock.replenished"]);
    let declined = shop.order("tok_declined", 1).await;
    shop.until(declined, "it is cancelled", |order| order.state == OrderState::Cancelled).await;
    assert!(types_of(&shop, declined).await.contains(&"payment.failed".to_owned()));
}

#[tokio::test]
async fn what_is_refused_or_only_noted_is_no_event() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 1).await;
    assert_eq!(types_of(&shop, id).await, ["order.created"]);
    assert!(shop.orders.report(id, Fulfilment::Shipped).await.is_err());
    let bad = NewDelivery { address: Some(String::new()), ..NewDelivery::default() };
    assert!(shop.orders.change_delivery(id, &bad).await.is_err());
    let missing = order_request("tok_ok", &[("coffee", 1)]);
    assert!(shop.orders.place(&missing, None).await.is_err());
    shop.cancel(id, CancelBy::Customer).await.expect("in time");
    // A second cancel on better terms changes the order, and neither state nor payment.
    shop.cancel(id, CancelBy::Customer).await.expect("again");
    assert_eq!(types_of(&shop, id).await, ["order.created", "order.cancelling"]);
    assert_eq!(shop.get(id).await.payment_state, PaymentState::None);
    let all = shop.engine.events(&EventFilter::default()).await.expect("reads").items;
    assert_eq!(all.len(), 2, "{all:?}");
}

#[tokio::test]
async fn stock_that_crosses_zero_is_an_event() {
    let shop = Shop::without_worker().await;
    let put = async |on_hand| {
        let item = PutItem { name: "Tea".to_owned(), price: 1000, currency: "EUR".to_owned(), on_hand, seller: None };
        shop.orders.put_item("tea", &item).await.expect("an item");
    };
    for on_hand in [0, 0, 5, 7, 0, 3] {
        put(on_hand).await;
    }
    let all = events(&shop, "tea").await;
    assert_eq!(types(&all), ["stock.replenished", "stock.depleted", "stock.replenished"]);
    assert_eq!(all[2].data, serde_json::json!({"available": 3, "on_hand": 3, "held": 0}));
    let ids: BTreeSet<Uuid> = all.iter().map(|event| event.id).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.get_version_num() == 7), "{ids:?}");
}
