//! More starts than the database takes: what is beyond the limit is refused at once and leaves nothing, and what was
//! acknowledged is there, once.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    server::{Answer, Server},
    support::Proxy,
};

/// Starts that may wait at a time, and clients that start one each.
const WAITING: usize = 8;
const CLIENTS: usize = 90;

/// The requests of a client: a run, a batch of one run and an order in turn, each with a key of its own.
async fn start(server: &Server, client: usize) -> Answer {
    let key = format!("client-{client}");
    let run = json!({"workflow": "patient", "input": null, "key": key});
    let post = |path: &str| server.request(Method::POST, path);
    let request = match client % 3 {
        0 => post("/v1/runs").header("idempotency-key", &key).json(&json!({"workflow": "patient", "input": null})),
        1 => post("/v1/runs/batch").json(&json!([run])),
        _ => post("/v1/orders").header("idempotency-key", &key).json(&json!({
            "customer_id": key, "items": [{"sku": "apple", "quantity": 1}], "payment": {"token": "tok_ok"}
        })),
    };
    Answer::to(request).await
}

/// The run that an answer acknowledges, and whether it is new.
fn acknowledged(answer: &Answer) -> Option<(String, bool)> {
    let of = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let item = &answer.json["items"][0];
    match answer.status {
        200 if item["status"].is_number() => Some((of(item, "id")?, item["status"] == 201)),
        200 | 201 => Some((of(&answer.json, "run_id").or(of(&answer.json, "id"))?, answer.status == 201)),
        _ => None,
    }
}

async fn runs(pool: &PgPool) -> BTreeSet<String> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id::text FROM backstitch.run").fetch_all(pool).await.expect("their ids");
    ids.into_iter().collect()
}

#[tokio::test]
async fn overload_is_refused_and_nothing_acknowledged_is_lost() {
    let shop = Server::idle().await;
    shop.know_orders().await;
    let apple = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 1000});
    assert_eq!(Answer::to(shop.request(Method::PUT, "/v1/items/apple").json(&apple)).await.status, 200);
    let proxy = Proxy::before(shop.database.as_ref().expect("its database").url()).await;
    let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
    let server = Server::with_waiting_starts(&pool.connect_lazy(proxy.url()).expect("a URL"), WAITING).await;
    assert!(server.get("/v1/runs").await.json["items"].is_array(), "the caller is known before the database is slow");
    let before = runs(shop.pool()).await;

    proxy.delay(Duration::from_millis(50));
    let first = join_all((0..CLIENTS).map(|client| start(&server, client))).await;
    proxy.heal();
    let refused: Vec<_> = first.iter().filter(|answer| acknowledged(answer).is_none()).collect();
    for answer in &refused {
        answer.is_problem(429, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert!(refused.len() >= CLIENTS / 3, "only {} were refused", refused.len());
    let there = runs(shop.pool()).await;
    let new: BTreeSet<_> = there.difference(&before).cloned().collect();
    let taken: BTreeSet<_> = first.iter().filter_map(acknowledged).map(|(run, _)| run).collect();
    assert!(taken.len() >= WAITING, "only {} were taken", taken.len());
    assert_eq!(new, taken, "what was acknowledged is there, and what was refused left nothing");

    let mut all = BTreeSet::new();
    for (client, answer) in first.iter().enumerate() {
        let (run, is_new) = acknowledged(&start(&server, client).await).expect("the database is fast again");
        match acknowledged(answer) {
            Some((first, _)) => assert_eq!((run.clone(), is_new), (first, false), "asked again, it is the same"),
            None => assert!(is_new, "it was refused before"),
        }
        all.insert(run);
    }
    assert_eq!(all.len(), CLIENTS);
    assert_eq!(runs(shop.pool()).await.difference(&before).count(), CLIENTS, "none is there twice");
}

#[tokio::test]
async fn who_waits_for_an_order_holds_up_no_start() {
    let shop = Server::idle().await;
    shop.know_orders().await;
    let apple = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 1000});
    assert_eq!(Answer::to(shop.request(Method::PUT, "/v1/items/apple").json(&apple)).await.status, 200);
    let server = Server::with_waiting_starts(shop.pool(), 1).await;
    let order =
        json!({"customer_id": "c1", "items": [{"sku": "apple", "quantity": 1}], "payment": {"token": "tok_ok"}});
    let waiting = server.request(Method::POST, "/v1/orders?wait=5s").json(&order);
    let waits = Answer::to(waiting);
    tokio::pin!(waits);
    let placed = "SELECT count(*) FROM shop.orders";
    let starts = async {
        while sqlx::query_scalar::<_, i64>(placed).fetch_one(shop.pool()).await.expect("a count") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        loop {
            let answer = server.post("/v1/runs", json!({"workflow": "patient", "input": null})).await;
            if answer.status == 201 {
                return;
            }
            answer.is_problem(429, "overloaded"); // its answer is still on its way to the one that waits
        }
    };
    tokio::select! {
        biased;
        _ = &mut waits => panic!("the start has to be taken while the other waits"),
        () = starts => {}
    }
}
