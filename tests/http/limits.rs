//! Limits on how often keys and customers may write, and on a customer's orders in flight.

use std::time::Duration;

use backstitch::engine::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

/// Starts runs with a key until it is refused: how many were taken, and the refusal.
async fn until_refused(server: &Server, token: &str) -> (usize, Answer) {
    for taken in 0..200 {
        let start = server.request(Method::POST, "/v1/runs").bearer_auth(token);
        let answer = Answer::to(start.json(&json!({"workflow": "echo", "input": {"text": "a"}}))).await;
        if answer.status == 429 {
            return (taken, answer);
        }
        assert_eq!(answer.status, 201, "{}", answer.json);
        assert!(answer.header("ratelimit").starts_with("\"key\";r="), "{:?}", answer.headers);
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=20;w=60");
    }
    panic!("200 in a row were taken");
}

#[tokio::test]
async fn a_key_may_write_only_so_often() {
    let (keyed, keys) = Server::keyed().await;
    let server = Server::limited(keyed.pool(), Some("20/m"), None, None).await;
    let (starter, admin) = (keys.of(Role::Starter), keys.of(Role::Admin));
    let before = keyed.rows().await;
    let (taken, refused) = until_refused(&server, starter).await;
    // A token comes every three seconds; no test takes a minute for this.
    assert!((20..=40).contains(&taken), "{taken}");
    refused.is_problem(429, "rate_limited");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=3).contains(&after), "{after}");
    assert_eq!(keyed.rows().await, before + taken as i64, "what is refused leaves no record");
    let read = Answer::to(server.request(Method::GET, "/v1/runs").bearer_auth(starter)).await;
    assert_eq!((read.status, read.header("ratelimit")), (200, ""), "reading is not limited");
    assert!(until_refused(&server, admin).await.0 >= 20, "another key has its own");
    tokio::time::sleep(Duration::from_secs(after)).await;
    assert!(until_refused(&server, starter).await.0 >= 1, "it was told when to come again");
}

#[tokio::test]
async fn servers_share_a_keys_limit() {
    let (keyed, keys) = Server::keyed().await;
    let servers = [
        Server::limited(keyed.pool(), Some("20/m"), None, None).await,
        Server::limited(keyed.pool(), Some("20/m"), None, None).await,
    ];
    let mut taken = 0;
    for server in &servers {
        taken += until_refused(server, keys.of(Role::Starter)).await.0;
    }
    assert!((20..=35).contains(&taken), "{taken}: one bucket, and a quarter from the second server");
}

fn order(customer: &str) -> Value {
    json!({"customer_id": customer, "items": [{"sku": "apple", "quantity": 1}], "payment": {"token": "tok_ok"}})
}

async fn with_apples() -> Server {
    let server = Server::idle().await;
    server.know_orders().await;
    let apple = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 1000});
    assert_eq!(Answer::to(server.request(Method::PUT, "/v1/items/apple").json(&apple)).await.status, 200);
    server
}

#[tokio::test]
async fn a_customer_may_write_only_so_often() {
    let shop = with_apples().await;
    let server = Server::limited(shop.pool(), None, Some("4/m"), None).await;
    let mut placed = Vec::new();
    let refused = loop {
        let answer = server.post("/v1/orders", order("c1")).await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.header("ratelimit-policy"), "\"customer\";q=4;w=60");
        placed.push(answer.json["id"].as_str().expect("an id").to_owned());
        assert!(placed.len() < 9, "as often as wanted");
    };
    refused.is_problem(429, "rate_limited");
    assert!(!refused.header("retry-after").is_empty());
    let rows = shop.rows().await;
    server.post(&format!("/v1/orders/{}/cancel", placed[0]), json!({})).await.is_problem(429, "rate_limited");
    assert_eq!(shop.rows().await, rows);
    assert_eq!(server.post("/v1/orders", order("c2")).await.status, 201, "another customer has their own");
    server.post(&format!("/v1/orders/{}/cancel", uuid::Uuid::nil()), json!({})).await.is_problem(404, "unknown_order");
}

#[tokio::test]
async fn a_customer_has_only_so_many_orders_in_flight() {
    let shop = with_apples().await;
    let server = Server::limited(shop.pool(), None, None, Some(3)).await;
    let place = |n: usize| {
        let key = format!("key-{n}");
        let request = server.request(Method::POST, "/v1/orders").header("idempotency-key", key).json(&order("c1"));
        Answer::to(request)
    };
    let all = futures_util::future::join_all((0..10).map(&place)).await;
    let (taken, refused): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(_, answer)| answer.status == 201);
    assert_eq!((taken.len(), refused.len()), (3, 7));
    for (_, answer) in refused {
        answer.is_problem(429, "rate_limited");
        assert!(!answer.header("retry-after").is_empty());
    }
    let again = place(taken[0].0).await;
    assert_eq!((again.status, &again.json["id"]), (200, &taken[0].1.json["id"]), "the first answer stands");
    sqlx::query("UPDATE shop.orders SET state = 'cancelled', cancel_reason = 'customer' WHERE id = $1::uuid")
        .bind(taken[0].1.json["id"].as_str())
        .execute(shop.pool())
        .await
        .expect("its end");
    assert_eq!(server.post("/v1/orders", order("c1")).await.status, 201, "one has ended");
    server.post("/v1/orders", order("c1")).await.is_problem(429, "rate_limited");
}
