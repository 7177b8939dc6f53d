//! Promise: an answer that lacks something, or is about something else, is unknown.

use std::time::Duration;

use axum::{Json, Router, http::StatusCode};
use backstitch::payments::{PaymentGateway, StripeGateway};
use serde_json::{Value, json};

use crate::{
    bench::{code, new_intent, new_refund},
    support::shop::gateway_at,
};

/// A gateway that gives this answer to everything.
async fn answering(status: u16, body: Value) -> StripeGateway {
    let answer = move || {
        let body = body.clone();
        async move { (StatusCode::from_u16(status).expect("a status"), Json(body)) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    gateway_at(url, Duration::from_secs(5))
}

fn intent() -> Value {
    json!({"id": "pi_1", "status": "succeeded", "amount": 1000, "amount_received": 1000, "currency": "eur",
        "metadata": {"order_id": "order-1"}})
}

fn refund() -> Value {
    json!({"id": "re_1", "status": "succeeded", "payment_intent": "pi_1", "amount": 300, "currency": "eur",
        "metadata": {"order_id": "order-1"}})
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

#[tokio::test]
async fn an_intent_that_is_not_the_one_is_unknown() {
    let good = answering(200, intent()).await;
    assert!(good.create_intent("k", &new_intent("tok_ok")).await.is_ok());
    assert!(good.confirm_intent("k", "pi_1").await.is_ok());
    let mut short = intent();
    short.as_object_mut().expect("an object").remove("amount_received");
    let odd = [
        short,
        with(intent(), "id", json!("pi_2")),
        with(intent(), "amount_received", json!(0)),
        with(intent(), "currency", json!("e")),
    ];
    for answer in odd {
        let gateway = answering(200, answer.clone()).await;
        for called in [
            gateway.confirm_intent("k", "pi_1").await,
            gateway.cancel_intent("k", "pi_1").await,
            gateway.get_intent("pi_1").await,
        ] {
            assert_eq!(code(called), "gateway_answer_unreadable", "{answer}");
        }
    }
    for (field, value) in
        [("amount", json!(1001)), ("currency", json!("usd")), ("metadata", json!({"order_id": "order-2"}))]
    {
        let gateway = answering(200, with(intent(), field, value)).await;
        let created = gateway.create_intent("k", &new_intent("tok_ok")).await;
        assert_eq!(code(created), "gateway_answer_unreadable", "{field}");
    }
}

#[tokio::test]
async fn a_refusal_without_its_intent_is_unknown() {
    let refusal = |about: Value| {
        json!({"error": {"type": "invalid_request_error",
        "code": "payment_intent_unexpected_state", "message": "m", "payment_intent": about}})
    };
    let gateway = answering(400, refusal(intent())).await;
    assert!(gateway.confirm_intent("k", "pi_1").await.is_ok(), "it has succeeded before");
    assert_eq!(code(gateway.cancel_intent("k", "pi_1").await), "payment_unexpected_state");
    for about in [Value::Null, json!({"id": "pi_1"}), with(intent(), "id", json!("pi_2"))] {
        let gateway = answering(400, refusal(about)).await;
        assert_eq!(code(gateway.confirm_intent("k", "pi_1").await), "gateway_answer_unreadable");
    }
}

#[tokio::test]
async fn a_refund_that_is_not_the_one_is_unknown() {
    let good = answering(200, refund()).await;
    assert!(good.refund("k", &new_refund("pi_1", 300)).await.is_ok());
    for (field, value) in [
        ("amount", json!(299)),
        ("payment_intent", json!("pi_2")),
        ("payment_intent", Value::Null),
        ("metadata", Value::Null),
    ] {
        let gateway = answering(200, with(refund(), field, value)).await;
        assert_eq!(code(gateway.refund("k", &new_refund("pi_1", 300)).await), "gateway_answer_unreadable", "{field}");
    }
    let list = |data: Value| json!({"object": "list", "data": data, "has_more": false});
    let all = answering(200, list(json!([refund(), with(refund(), "payment_intent", json!("pi_2"))]))).await;
    assert_eq!(code(all.refunds_of("pi_1").await), "gateway_answer_unreadable", "it does not filter");
    assert_eq!(code(good.get_refund("re_2").await), "gateway_answer_unreadable");
}
