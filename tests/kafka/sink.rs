//! Events to topics: each arrives, one order's in order, whatever happens to the broker's connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use backstitch::{
    engine::{
        Engine, Registry,
        outbox::{Event, NewEvent},
    },
    kafka::Brokers,
    sinks::{KafkaSink, Topics},
};
use rskafka::client::partition::UnknownTopicHandling;
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

/// What is in a topic, with its keys, by partition.
async fn read_topic(broker: &Broker, topic: &str) -> Vec<(String, Event)> {
    let client = broker.client().await;
    let topics = client.list_topics().await.expect("topics");
    let parts = topics.into_iter().find(|found| found.name == topic).expect("it was made").partitions;
    let mut all = Vec::new();
    for part in parts {
        let part = client.partition_client(topic, part, UnknownTopicHandling::Retry).await.expect("a partition");
        let mut offset = 0;
        loop {
            let (records, end) = part.fetch_records(offset, 1..1_000_000, 100).await.expect("records");
            for found in &records {
                let text =
                    |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().expect("it has one")).expect("text");
                let event = serde_json::from_str(&text(&found.record.value)).expect("a CloudEvent");
                all.push((text(&found.record.key), event));
                offset = found.offset + 1;
            }
            if offset >= end {
                break;
            }
        }
    }
    all
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
    assert_complete(&read_topic(&broker, "orders").await, 150);
    assert_complete(&read_topic(&broker, "payments").await, 150);
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
