//! What is marked as secret is shown by no route, no stream, no plan and no log.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backstitch::{
    engine::{Engine, Operator, WorkerConfig},
    gateway_sim,
    http::serve,
    orders::{Orders, ShopSettings},
    shop,
    tls::install_crypto_provider,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{
    TestDatabase,
    shop::{Simulator, shop_registry},
    wait_for,
};

/// What is never to be shown.
const TOKEN: &str = "tok_ok";
/// The same; the gateway repeats it in its answer.
const REPEATED: &str = "pm_4242424242";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn text(client: &reqwest::Client, url: &str) -> String {
    client.get(url).send().await.expect("an answer").text().await.expect("a body")
}

/// A shop with a worker, behind the API: its database, engine and address, and what keeps it running.
async fn shop() -> (TestDatabase, Engine, String, DropGuard, Simulator) {
    install_crypto_provider();
    let database = TestDatabase::new().await;
    let simulator = Simulator::start(gateway_sim::Config::default()).await;
    let gateway = Arc::new(simulator.gateway(Duration::from_secs(5)));
    let engine = Engine::new(database.pool().clone(), shop_registry(database.pool(), gateway));
    let stop = CancellationToken::new();
    let stops = stop.clone().drop_guard();
    tokio::spawn(engine.worker(WorkerConfig::default()).run(stop.clone().cancelled_owned()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let orders = Orders::new(engine.clone(), ShopSettings::default());
    tokio::spawn(serve(listener, shop::app(orders), stop.cancelled_owned()));
    wait_for("the workflows are registered", async || {
        let query = "SELECT count(*) FROM backstitch.workflow WHERE name = 'order' AND secret_fields = '{token}'";
        let known: i64 = sqlx::query_scalar(query).fetch_one(database.pool()).await.map_err(|e| e.to_string())?;
        if known == 1 { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    (database, engine, base, stops, simulator)
}

#[tokio::test]
async fn a_payment_token_is_shown_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let logging = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    // Another test of this process may log already: then the others' checks remain.
    let captured = logging.with_writer(move || writer.clone()).try_init().is_ok();

    let (database, engine, base, _stops, _simulator) = shop().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let item = json!({"name": "Tea", "price": 1000, "currency": "EUR", "on_hand": 5});
    client.put(format!("{base}/v1/items/tea")).json(&item).send().await.expect("an item");
    let order = json!({"customer_id": "c", "items": [{"sku": "tea", "quantity": 1}], "payment": {"token": TOKEN},
        "delivery": {"address": "1 Main Street"}});
    let placed = client.post(format!("{base}/v1/orders?wait=20s")).json(&order).send().await.expect("an answer");
    let placed = placed.text().await.expect("a body");
    let order: Value = serde_json::from_str(&placed).expect("an order");
    assert_eq!(order["state"], "placed", "{placed}");
    let (run, order_id) = (order["run_id"].as_str().expect("a run"), order["id"].as_str().expect("an id"));

    // This one the gateway does not know, and says so by its name.
    let unknown = json!({"customer_id": "c", "items": [{"sku": "tea", "quantity": 1}], "payment": {"token": REPEATED}});
    let refused = client.post(format!("{base}/v1/orders?wait=20s")).json(&unknown).send().await.expect("an answer");
    let refused: Value = serde_json::from_str(&refused.text().await.expect("a body")).expect("an order");
    assert_eq!(refused["cancel_reason"], "payment_failed", "{refused}");
    let repeats = refused["run_id"].as_str().expect("a run");

    let mut shown = vec![("POST /v1/orders".to_owned(), placed.clone())];
    for path in [
        format!("/v1/runs/{run}"),
        "/v1/runs".to_owned(),
        "/v1/runs?workflow=order".to_owned(),
        format!("/v1/runs/{run}/result"),
        format!("/v1/runs/{run}/export"),
        format!("/v1/runs/{run}/why"),
        format!("/v1/orders/{order_id}"),
        "/v1/orders?customer_id=c".to_owned(),
        "/v1/audit".to_owned(),
        "/v1/attention".to_owned(),
        format!("/v1/runs/{repeats}"),
        format!("/v1/runs/{repeats}/result"),
        format!("/v1/runs/{repeats}/export"),
        format!("/v1/runs/{repeats}/why"),
        format!("/runs/{repeats}"),
        "/v1/workflows".to_owned(),
        format!("/runs/{run}"),
        "/runs".to_owned(),
        "/orders".to_owned(),
    ] {
        shown.push((path.clone(), text(&client, &format!("{base}{path}")).await));
    }
    let plan = json!({"reason": "to see", "dry_run": true});
    let plan = client.post(format!("{base}/v1/runs/{run}/compensate")).json(&plan).send().await.expect("an answer");
    let plan = plan.text().await.expect("a body");
    assert!(plan.contains("create_intent") && plan.contains("[secret]"), "{plan}");
    shown.push(("the plan".to_owned(), plan));
    // Undone, it has undo steps too, and its stream ends.
    let by = Operator { actor: "ann".to_owned(), reason: Some("a test".to_owned()), ..Operator::default() };
    engine.compensate(run.parse().expect("an id"), &by).await.expect("accepted");
    shown.push(("events".to_owned(), text(&client, &format!("{base}/v1/runs/{run}/events")).await));
    shown.push(("the undone run".to_owned(), text(&client, &format!("{base}/v1/runs/{run}")).await));
    assert!(shown[1].1.contains("\"token\":\"[secret]\""), "the field is there, its value is not: {}", shown[1].1);
    for (place, text) in &shown {
        assert!(!text.contains(TOKEN) && !text.contains(REPEATED), "{place} shows the token: {text}");
    }
    // What the run itself works with is the real one.
    let query = "SELECT count(*) FROM backstitch.run WHERE input ->> 'token' = $1";
    let kept: i64 = sqlx::query_scalar(query).bind(TOKEN).fetch_one(database.pool()).await.expect("a count");
    assert_eq!(kept, 1);
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(!captured || logged.contains("answered"), "something was logged");
    let leaks: Vec<&str> = logged.lines().filter(|line| line.contains(TOKEN) || line.contains(REPEATED)).collect();
    assert!(leaks.is_empty(), "the log has the token: {leaks:#?}");
}
