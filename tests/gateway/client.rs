//! Promise: the simulator does what stock clients of the gateway rely on: lists by pages, manual captures, another payment
//! method after a decline, and an error that can be read for whatever it does not take.

use backstitch::payments::{IntentStatus, PaymentGateway};
use reqwest::Method;
use serde_json::Value;

use crate::bench::{Bench, new_refund};

impl Bench {
    async fn ask(&self, method: Method, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.simulator.url());
        let response = self.simulator.http.request(method, url).bearer_auth("sk_test").send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    async fn page(&self, path: &str) -> (Vec<String>, bool) {
        let (status, page) = self.ask(Method::GET, path).await;
        assert_eq!(status, 200, "{page}");
        let ids = page["data"].as_array().expect("a list").iter();
        let ids = ids.map(|object| object["id"].as_str().expect("an id").to_owned()).collect();
        (ids, page["has_more"].as_bool().expect("it says"))
    }
}

#[tokio::test]
async fn a_list_ends_however_long_it_is() {
    let bench = Bench::new().await;
    let id = bench.paid("tok_ok").await;
    let mut made = Vec::new();
    for n in 0..7 {
        let refund = bench.gateway.refund(&format!("r{n}"), &new_refund(&id, 1)).await.expect("ok");
        made.insert(0, refund.id);
    }
    let list = format!("/v1/refunds?payment_intent={id}&limit=3");
    let (mut seen, mut more) = bench.page(&list).await;
    while more {
        let (next, has_more) = bench.page(&format!("{list}&starting_after={}", seen[seen.len() - 1])).await;
        seen.extend(next);
        more = has_more;
        assert!(seen.len() <= made.len(), "{seen:?}");
    }
    assert_eq!(seen, made);
    assert_eq!(bench.page(&format!("{list}&ending_before={}", made[4])).await, (made[1..4].to_vec(), true));
    assert_eq!(bench.ask(Method::GET, "/v1/refunds?starting_after=re_no").await.0, 404);
    assert_eq!(bench.page("/v1/payment_intents").await, (vec![id], false));
}

#[tokio::test]
async fn a_manual_capture_moves_money_when_it_is_asked_for() {
    let bench = Bench::new().await;
    let new = "amount=500&currency=eur&payment_method=tok_ok&capture_method=manual";
    let (_, _, intent) = bench.post("/v1/payment_intents", "create", new).await;
    let id = intent["id"].as_str().expect("an id");
    let (status, _, confirmed) = bench.post(&format!("/v1/payment_intents/{id}/confirm"), "confirm", "").await;
    assert_eq!(
        (status, &confirmed["status"], &confirmed["amount_capturable"]),
        (200, &"requires_capture".into(), &500.into())
    );
    assert_eq!(bench.moved(id).await, (0, 0));
    let capture = format!("/v1/payment_intents/{id}/capture");
    assert_eq!(bench.post(&capture, "too-much", "amount_to_capture=501").await.0, 400);
    let (_, _, captured) = bench.post(&capture, "capture", "amount_to_capture=400").await;
    assert_eq!((&captured["status"], &captured["amount_received"]), (&"succeeded".into(), &400.into()));
    assert_eq!(bench.moved(id).await, (400, 0));
}

#[tokio::test]
async fn a_declined_payment_takes_another_method() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_declined").await;
    let confirm = format!("/v1/payment_intents/{id}/confirm");
    assert_eq!(bench.post(&confirm, "first", "").await.0, 402);
    assert_eq!(bench.post(&confirm, "without", "").await.0, 400);
    assert_eq!(bench.post(&confirm, "unknown", "payment_method=tok_what").await.0, 400);
    assert_eq!(bench.post(&confirm, "second", "payment_method=tok_ok").await.0, 200);
    let intent = bench.read(&id).await;
    assert_eq!((intent.status, intent.captured, intent.last_decline), (IntentStatus::Succeeded, 1000, None));
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_an_error() {
    let bench = Bench::new().await;
    for (method, path) in [(Method::DELETE, "/v1/payment_intents"), (Method::PUT, "/v1/refunds/re_1")] {
        let (status, body) = bench.ask(method, path).await;
        assert_eq!((status, &body["error"]["type"]), (405, &"invalid_request_error".into()));
        assert!(body["error"]["message"].is_string());
    }
}
