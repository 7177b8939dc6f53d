//! Promise: the simulator is a well-behaved HTTP server: it wants a key, rejects bad parameters, starts and stops.

use std::time::Duration;

use crate::{bench::Bench, support::wait_until};

async fn status(request: reqwest::RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.text().await.expect("a body"))
}

#[tokio::test]
async fn a_call_needs_some_api_key() {
    let bench = Bench::new().await;
    let url = format!("{}/v1/payment_intents/pi_no", bench.simulator.url());
    assert_eq!(status(bench.simulator.http.get(&url)).await.0, 401);
    let empty = bench.simulator.http.get(&url).header("authorization", "Bearer ");
    assert_eq!(status(empty).await.0, 401);
    // Found to be missing, so let in: as a bearer, and as the user of basic authentication.
    assert_eq!(status(bench.simulator.http.get(&url).bearer_auth("k")).await.0, 404);
    let basic = bench.simulator.http.get(&url).basic_auth("k", None::<&str>);
    assert_eq!(status(basic).await.0, 404);
    let health = format!("{}/healthz", bench.simulator.url());
    assert_eq!(status(bench.simulator.http.get(health)).await, (200, "ok".into()));
}

#[tokio::test]
async fn wrong_parameters_are_rejected_in_stripes_shape() {
    let bench = Bench::new().await;
    for (form, code) in [
        ("", "parameter_missing"),
        ("amount=x&currency=eur&payment_method=tok_ok", "parameter_invalid_integer"),
        ("amount=0&currency=eur&payment_method=tok_ok", "parameter_invalid_integer"),
        ("amount=5&currency=euro&payment_method=tok_ok", "parameter_invalid"),
        ("amount=5&payment_method=tok_ok", "parameter_missing"),
        ("amount=5&currency=eur&payment_method=tok_what", "resource_missing"),
        ("amount=5&currency=eur&payment_method=tok_ok&confirm=true", "parameter_invalid"),
    ] {
        let (status, _, body) = bench.post("/v1/payment_intents", "k", form).await;
        assert_eq!(status, 400, "{form}");
        assert_eq!(body["error"]["type"], "invalid_request_error", "{form}");
        assert_eq!(body["error"]["code"], code, "{form}");
        assert!(body["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_held_connections() {
    let bench = Bench::new().await;
    let id = bench.intent("tok_timeout_after_effect").await;
    let url = format!("{}/v1/payment_intents/{id}/confirm", bench.simulator.url());
    let held = tokio::spawn(bench.simulator.http.post(url).bearer_auth("k").send());
    wait_until("the effect is there", async || bench.moved(&id).await == (1000, 0)).await;
    let stopped = tokio::time::timeout(Duration::from_secs(4), bench.simulator.running.stop());
    stopped.await.expect("soon").expect("in order");
    let answer = held.await.expect("no panic");
    assert!(answer.is_err(), "it was never answered");
}
