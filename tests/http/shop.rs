//! The shop over HTTP: items, orders, webhooks. What becomes of orders is tested with their workflow.

use reqwest::Method;
use serde_json::{Value, json};

use backstitch::payments::{Secret, sign};

use crate::{
    server::{Answer, Server},
    support::shop::WEBHOOK_SECRET,
};

async fn put(server: &Server, sku: &str, body: Value) -> Answer {
    Answer::to(server.request(Method::PUT, &format!("/v1/items/{sku}")).json(&body)).await
}

#[tokio::test]
async fn an_item_is_read_with_its_stock() {
    let server = Server::idle().await;
    let item = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 7});
    assert_eq!(put(&server, "apple", item).await.status, 200);
    let read = server.get("/v1/items/apple").await;
    assert_eq!((read.status, &read.json["available"]), (200, &json!(7)));
    for bad in [
        json!({"name": "Apple", "price": -1, "currency": "EUR", "on_hand": 7}),
        json!({"name": "Apple", "price": 1, "currency": "euro", "on_hand": 7}),
        json!({"name": "Apple", "price": 1, "currency": "ZZZ", "on_hand": 7}),
        json!({"name": "Apple", "price": 1.5, "currency": "EUR", "on_hand": 7}),
        json!({"name": "Apple", "price": 1, "currency": "EUR", "on_hand": 7, "held": 0}),
    ] {
        put(&server, "apple", bad).await.is_problem(400, "invalid_request");
    }
    assert_eq!(server.get("/v1/items/apple").await.json["price"], 250);
}

#[tokio::test]
async fn a_wrong_order_leaves_no_record() {
    let server = Server::idle().await;
    let order = |sku: &str, quantity: Value| {
        json!({
            "customer_id": "c", "items": [{"sku": sku, "quantity": quantity}], "payment": {"token": "tok_ok"},
            "delivery": {"address": "1 Main Street"},
        })
    };
    let half = json!({"sku": "apple", "quantity": 60_000});
    let two_lines = json!({"customer_id": "c", "items": [half, half], "payment": {"token": "t"}});
    let cases = [
        (order("apple", json!(1)), 404, "unknown_item"),
        (order("apple", json!(0)), 400, "invalid_request"),
        (order("apple", json!(1.5)), 400, "invalid_request"),
        (json!({"customer_id": "c", "items": [], "payment": {"token": "t"}}), 400, "invalid_request"),
        (two_lines, 400, "invalid_request"),
    ];
    for (body, status, code) in cases {
        server.post("/v1/orders", body).await.is_problem(status, code);
    }
    assert_eq!(server.rows().await, 0);
}

#[tokio::test]
async fn only_signed_webhooks_are_taken_each_once() {
    let server = Server::idle().await;
    let body = r#"{"id":"evt_1","created":5,"type":"customer.created","data":{"object":{}}}"#;
    let post = |signature: String| {
        Answer::to(server.request(Method::POST, "/v1/webhooks/stripe").header("stripe-signature", signature).body(body))
    };
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs() as i64;
    post("t=5,v1=00".to_owned()).await.is_problem(400, "signature_mismatch");
    let unsigned = Answer::to(server.request(Method::POST, "/v1/webhooks/stripe").body(body)).await;
    unsigned.is_problem(400, "signature_malformed");
    let old = sign(&[Secret::new(WEBHOOK_SECRET)], now - 3600, body.as_bytes());
    post(old).await.is_problem(400, "signature_stale");
    let signature = sign(&[Secret::new(WEBHOOK_SECRET)], now, body.as_bytes());
    assert_eq!(post(signature.clone()).await.json["taken"], "of_no_use");
    assert_eq!(post(signature).await.json["taken"], "duplicate");
}

#[tokio::test]
async fn what_is_done_to_orders_and_items_is_audited() {
    let server = Server::idle().await;
    server.know_orders().await;
    let send = async |method: Method, path: &str, body: Value| {
        let answer = Answer::to(server.request(method, path).header("x-actor", "ann").json(&body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.json);
        answer.json
    };
    let item = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 100});
    send(Method::PUT, "/v1/items/apple", item.clone()).await;
    send(Method::PUT, "/v1/items/apple", json!({"name": "Apple", "price": 300, "currency": "EUR", "on_hand": 90}))
        .await;
    let order = json!({
        "customer_id": "c1", "items": [{"sku": "apple", "quantity": 1}], "payment": {"token": "tok_ok"},
        "delivery": {"address": "1 Main Street"},
    });
    let order = send(Method::POST, "/v1/orders", order).await;
    let (id, run) = (order["id"].as_str().expect("an id"), &order["run_id"]);
    send(Method::PATCH, &format!("/v1/orders/{id}"), json!({"delivery": {"address": "2 Side Street"}})).await;
    send(Method::POST, &format!("/v1/orders/{id}/cancel"), json!({"reason": "changed my mind"})).await;
    send(Method::POST, &format!("/v1/orders/{id}/cancel"), json!({"reason": "again"})).await;
    let query =
        "UPDATE shop.orders SET state = 'placed', cancel_reason = NULL, placed_at = shop.now() WHERE id = $1::uuid";
    sqlx::query(query).bind(id).execute(server.pool()).await.expect("an order that is placed");
    send(Method::POST, &format!("/v1/orders/{id}/fulfilment"), json!({"state": "shipped"})).await;
    let audit = server.get("/v1/audit?actor=ann").await.json;
    let entries = audit["items"].as_array().expect("entries");
    let shown: Vec<_> = entries.iter().map(|entry| (entry["action"].as_str(), entry["subject"].as_str())).collect();
    let of_order = format!("order {id}");
    let of_order = |action: &'static str| (Some(action), Some(of_order.as_str()));
    let of_item = (Some("put_item"), Some("item apple"));
    let wanted = [of_order("report_fulfilment"), of_order("cancel_order"), of_order("change_order"), of_item, of_item];
    assert_eq!(shown, wanted, "a repeated cancel changes nothing: {audit}");
    assert_eq!((&entries[1]["run_id"], &entries[1]["reason"]), (run, &json!("changed my mind")));
    assert_eq!((&entries[3]["before"]["price"], &entries[3]["after"]["price"]), (&json!(250), &json!(300)));
    assert!(!audit.to_string().contains("Street"), "where customers live is not for the audit: {audit}");
}

#[tokio::test]
async fn a_signed_event_that_cannot_be_kept_is_refused() {
    let server = Server::idle().await;
    let deep = "[".repeat(900) + &"]".repeat(900);
    let events = [
        r#"{"id":"evt_\u0000","type":"customer.created","data":{"object":{}}}"#.to_owned(),
        r#"{"id":"","type":"customer.created","data":{"object":{}}}"#.to_owned(),
        r#"{"id":"evt_1","type":"a\u0000","data":{"object":{}}}"#.to_owned(),
        r#"{"id":"evt_1","created":9223372036854775807,"type":"a.b","data":{"object":{}}}"#.to_owned(),
        r#"{"id":"evt_1","type":"a.b","data":{"object":{}},"note":"\ud800"}"#.to_owned(),
        format!(r#"{{"id":"evt_1","type":"a.b","data":{{"object":{{}}}},"note":{deep}}}"#),
    ];
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    for event in events {
        let secret = [Secret::from(WEBHOOK_SECRET)];
        let signature = sign(&secret, i64::try_from(now).expect("this century"), event.as_bytes());
        let request = server.request(Method::POST, "/v1/webhooks/stripe").header("stripe-signature", signature);
        Answer::to(request.body(event.clone())).await.is_problem(400, "webhook_unreadable");
    }
}
