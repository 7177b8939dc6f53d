//! Events from topics: each starts one run, whatever happens to the broker, to its connections and to those that read.

use std::time::Duration;

use backstitch::{
    engine::{ReceivedFilter, ReceivedState},
    inbox::{Inbox, read_topics},
    kafka::Brokers,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    support::{engine::TestEngine, wait_until_within},
};

const SOURCES: &str = r#"{"sources": [{"name": "carrier", "topics": ["parcels"], "rules": [
    {"type": "begin", "then": {"start": {"workflow": "scripted"}}}
]}]}"#;

struct Reader {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn read(t: &TestEngine, brokers: &Brokers) -> Reader {
    let stop = CancellationToken::new();
    let inbox = Inbox::parse(SOURCES).expect("sources");
    let stopped = stop.clone().cancelled_owned();
    Reader { stop, task: tokio::spawn(read_topics(t.engine.clone(), inbox, brokers.clone(), stopped)) }
}

impl Reader {
    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("it ends in time").expect("it ends");
    }
}

async fn runs_are(t: &TestEngine, wanted: i64) {
    let what = format!("{wanted} runs");
    wait_until_within(Duration::from_secs(90), &what, async || t.count("run").await == wanted).await;
}

fn event(number: usize) -> String {
    json!({"id": format!("e{number}"), "type": "begin", "data": []}).to_string()
}

#[tokio::test]
async fn each_event_of_a_topic_starts_one_run() {
    let Some(broker) = Broker::start().await else { return };
    let t = TestEngine::new().await;
    broker.create_topic("parcels", 3).await;
    let (first, second) = (read(&t, &broker.servers()), read(&t, &broker.servers()));
    for part in 0..3 {
        let mut events: Vec<String> = (0..50).map(|at| event(at * 3 + part)).collect();
        // Sent twice by its producer, and something that is no event.
        events.extend([event(part), "garbage".to_owned()]);
        broker.produce("parcels", i32::try_from(part).expect("small"), &events).await;
    }
    wait_until_within(Duration::from_secs(60), "all are handled", async || {
        let sum = "SELECT coalesce(sum(next_offset), 0)::bigint FROM backstitch.topic_position";
        sqlx::query_scalar::<_, i64>(sum).fetch_one(t.engine.pool()).await.expect("a sum") == 156
    })
    .await;
    assert_eq!(t.count("run").await, 150);
    let filter = ReceivedFilter { state: Some(ReceivedState::Parked), ..Default::default() };
    assert_eq!(t.engine.received_events(&filter).await.expect("a list").items.len(), 3);
    first.end().await;
    second.end().await;
    t.finish().await;
}

#[tokio::test]
async fn a_lost_or_frozen_broker_delays_its_events_only() {
    let Some(broker) = Broker::start().await else { return };
    let t = TestEngine::idle().await;
    broker.create_topic("parcels", 1).await;
    let reader = read(&t, &broker.servers());
    broker.produce("parcels", 0, &[event(0)]).await;
    runs_are(&t, 1).await;
    broker.proxy.cut();
    broker.produce("parcels", 0, &[event(1)]).await;
    runs_are(&t, 2).await;
    broker.proxy.freeze();
    broker.produce("parcels", 0, &[event(2)]).await;
    runs_are(&t, 3).await;
    reader.end().await;
}

#[tokio::test]
async fn a_topic_made_anew_is_read_from_its_start() {
    let Some(mut broker) = Broker::start().await else { return };
    let t = TestEngine::idle().await;
    broker.create_topic("parcels", 1).await;
    let reader = read(&t, &broker.servers());
    broker.produce("parcels", 0, &[event(0), event(1), event(2), event(3)]).await;
    runs_are(&t, 4).await;
    broker.kill();
    broker.start_again().await;
    broker.create_topic("parcels", 1).await;
    // What is older than an event is remembered for may have been handled: it is left out. What is known is not done again.
    broker.produce_at(chrono::DateTime::UNIX_EPOCH, "parcels", 0, &[event(8)]).await;
    broker.produce("parcels", 0, &[event(0), event(9)]).await;
    runs_are(&t, 5).await;
    assert_eq!(t.count("received_event WHERE event_id IN ('e8', 'e9')").await, 1);
    assert_eq!(t.count("topic_position WHERE next_offset = 3").await, 1);
    reader.end().await;
}

#[tokio::test]
async fn a_broker_that_speaks_garbage_hurts_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let calls = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut caller, _) = listener.accept().await.expect("a caller");
            // A length beyond all bounds, then noise.
            drop(caller.write_all(&[0x7f, 0xff, 0xff, 0xff]).await);
            drop(caller.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    let t = TestEngine::idle().await;
    let reader = read(&t, &address.to_string().parse().expect("an address"));
    tokio::time::timeout(Duration::from_secs(60), calls).await.expect("it calls again and again").expect("it ends");
    assert_eq!(t.count("received_event").await, 0);
    reader.end().await;
}
