//! Events to topics: each arrives, one order's in order, whatever happens to the broker's connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Duration,
};

use backstitch::{
    engine::{
        Engine, Registry,
        outbox::{Event, EventFilter, NewEvent},
    },
    kafka::Brokers,
    sinks::{KafkaSink, Topics},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    broker::Broker,
    support::{TestDatabase, wait_until_within},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn engine(database: &TestDatabase, brokers: Brokers) -> Engine {
    let topics: Topics = "orders,payments,stock".parse().expect("topics");
    Engine::new(database.pool().clone(), Registry::new()).with_sink(KafkaSink::new(brokers, topics))
}

/// Events of six orders and their payments.
async fn emit(engine: &Engine, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let event_type = if n % 2 == 0 { "order.placed" } else { "payment.captured" };
        let event = NewEvent::new(event_type, format!("order-{}", n % 6), "urn:test:1", &n).expect("JSON");
        let mut tx = engine.begin().await.expect("begins");
        engine.emit_in(&mut tx, &[event]).await.expect("emits");
        tx.commit().await.expect("commits");
    }
}

async fn has_got(engine: &Engine, sequence: i64) -> bool {
    engine.sinks().await.expect("reads").first().is_some_and(|sink| sink.sequence >= sequence)
}

/// Each event at least once; of one key in order, but for what came again.
fn assert_complete(all: &[(String, Event)], expected: usize) {
    let ids: BTreeSet<_> = all.iter().map(|(_, event)| event.id).collect();
    let sequences: BTreeSet<_> = all.iter().map(|(_, event)| event.sequence).collect();
    assert_eq!((ids.len(), sequences.len()), (expected, expected), "each arrives, with one id");
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for (key, event) in all.iter().filter(|(_, event)| seen.insert(event.id)) {
        assert_eq!(*key, event.subject);
        let before = last.insert(key, event.sequence);
        assert!(before.is_none_or(|before| before < event.sequence), "{key}: {before:?}, then {}", event.sequence);
    }
}

#[tokio::test]
async fn each_event_reaches_its_topic_over_cuts() {
    let Some(broker) = Broker::start().await else { return };
    let database = TestDatabase::new().await;
    let engine = engine(&database, broker.servers());
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    emit(&engine, 0..60).await;
    wait_until_within(PATIENCE, "the first have arrived", async || has_got(&engine, 60).await).await;
    broker.proxy.cut();
    emit(&engine, 60..240).await;
    broker.proxy.cut();
    emit(&engine, 240..300).await;
    wait_until_within(PATIENCE, "all have arrived", async || has_got(&engine, 300).await).await;
    assert_complete(&broker.read_topic("orders").await, 150);
    assert_complete(&broker.read_topic("payments").await, 150);
    relay.abort();
}

#[tokio::test]
async fn a_frozen_connection_is_given_up() {
    let Some(broker) = Broker::start().await else { return };
    let database = TestDatabase::new().await;
    let engine = engine(&database, broker.servers());
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    emit(&engine, 0..6).await;
    wait_until_within(PATIENCE, "the first have arrived", async || has_got(&engine, 6).await).await;
    broker.proxy.freeze();
    emit(&engine, 6..12).await;
    wait_until_within(PATIENCE, "all have arrived", async || has_got(&engine, 12).await).await;
    assert_complete(&broker.read_topic("orders").await, 6);
    relay.abort();
}

/// What another client reads; none where it can't be had, and that is known.
fn read_back(broker: &Broker) -> Option<Vec<Value>> {
    let root = env!("CARGO_MANIFEST_DIR");
    if !Command::new(format!("{root}/scripts/ensure-kafka-reader.sh")).status().is_ok_and(|status| status.success()) {
        let known = std::env::var_os("BACKSTITCH_WITHOUT_KAFKA_READER").is_some();
        assert!(known, "no other client is there: scripts/ensure-kafka-reader.sh says why");
        eprintln!("LEFT OUT: there is no other client of Kafka's on this machine");
        return None;
    }
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| format!("{root}/target"));
    let read = Command::new("python3")
        .arg(format!("{root}/tests/kafka/read_back.py"))
        .args([broker.address().as_str(), "orders", "payments"])
        .env("PYTHONPATH", format!("{target}/kafka-reader"))
        .output()
        .expect("python3 starts");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let text = String::from_utf8(read.stdout).expect("text");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_languages_client_reads_the_same_events() {
    let Some(broker) = Broker::start().await else { return };
    let database = TestDatabase::new().await;
    let engine = engine(&database, broker.servers());
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    emit(&engine, 0..60).await;
    wait_until_within(PATIENCE, "all have arrived", async || has_got(&engine, 60).await).await;
    relay.abort();
    let Some(records) = read_back(&broker) else { return };
    let feed = engine.events(&EventFilter { limit: Some(200), ..EventFilter::default() }).await.expect("events").items;
    let feed: BTreeMap<String, Value> =
        feed.iter().map(|event| (event.id.to_string(), serde_json::to_value(event).expect("JSON"))).collect();
    assert_eq!((records.len(), feed.len()), (60, 60));
    for record in &records {
        let id = record["headers"]["ce_id"].as_str().expect("its id");
        let event = &feed[id];
        let topic = if event["type"] == "order.placed" { "orders" } else { "payments" };
        assert_eq!((&record["event"], &record["key"]), (event, &event["subject"]));
        assert_eq!((&record["topic"], &record["partition"]), (&json!(topic), &record["chosen"]));
        let headers = json!({"ce_id": id, "content-type": "application/cloudevents+json"});
        assert_eq!(record["headers"], headers, "of an event in the structured mode");
    }
    let parts: BTreeSet<i64> = records.iter().filter_map(|record| record["partition"].as_i64()).collect();
    assert!(parts.len() > 1, "keys are spread: {parts:?}");
}

#[tokio::test]
async fn a_broker_without_its_topics_gets_them_anew() {
    let Some(mut broker) = Broker::start().await else { return };
    let database = TestDatabase::new().await;
    let engine = engine(&database, broker.servers());
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    emit(&engine, 0..60).await;
    wait_until_within(PATIENCE, "the first have arrived", async || has_got(&engine, 60).await).await;
    broker.kill();
    emit(&engine, 60..120).await;
    broker.start_again().await;
    wait_until_within(PATIENCE, "all have arrived", async || has_got(&engine, 120).await).await;
    let sequences: BTreeSet<i64> = broker.read_topic("orders").await.iter().map(|(_, event)| event.sequence).collect();
    assert_eq!(sequences.len(), 30, "what the first had acknowledged went with it, and nothing else");
    relay.abort();
}

#[tokio::test]
async fn large_events_reach_their_topic() {
    let Some(broker) = Broker::start().await else { return };
    let database = TestDatabase::new().await;
    let engine = engine(&database, broker.servers());
    let mut tx = engine.begin().await.expect("begins");
    let large =
        |n: usize| NewEvent::new("order.placed", "order-1", "urn:test:1", &format!("{n}{}", "x".repeat(250_000)));
    let events: Vec<NewEvent> = (0..20).map(|n| large(n).expect("JSON")).collect();
    engine.emit_in(&mut tx, &events).await.expect("emits");
    tx.commit().await.expect("commits");
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    wait_until_within(PATIENCE, "all have arrived", async || has_got(&engine, 20).await).await;
    assert_complete(&broker.read_topic("orders").await, 20);
    relay.abort();
}

#[tokio::test]
async fn a_broker_of_garbage_is_an_error_of_the_sink() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nthis is no broker, and never was one").await);
        }
    });
    let database = TestDatabase::new().await;
    let engine = engine(&database, address.parse().expect("servers"));
    let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
    emit(&engine, 0..1).await;
    wait_until_within(PATIENCE, "it is known", async || {
        engine.sinks().await.expect("reads").first().is_some_and(|sink| sink.failures > 0 && sink.error.is_some())
    })
    .await;
    assert!(!has_got(&engine, 1).await);
    relay.abort();
}
