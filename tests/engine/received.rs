//! Events from outside in the library: records of a topic are handled once, whatever is in them and however many processes read them.

use backstitch::engine::{Engine, Mapping, Pointer, ReceivedFilter, ReceivedState, Rule, Then, TopicPart, TopicRecord};
use serde_json::{Value, json};

use crate::support::{engine::*, script::Op, wait_until};

fn mapping() -> Mapping {
    let input = Pointer::try_from("/data".to_owned()).expect("a pointer");
    let then = Then::Start { workflow: "scripted".to_owned(), input, key: None };
    let rule = Rule { kind: "begin".to_owned(), versions: None, then };
    Mapping { source: "carrier".to_owned(), event: Default::default(), rules: vec![rule] }
}

fn part() -> TopicPart {
    TopicPart { topic: "parcels".to_owned(), part: 0 }
}

fn record(offset: i64, value: &[u8]) -> TopicRecord {
    TopicRecord { offset, value: Some(value.to_vec()) }
}

fn begin(offset: i64, id: &str) -> TopicRecord {
    let program: Vec<Op> = Vec::new();
    record(offset, json!({"id": id, "type": "begin", "data": program}).to_string().as_bytes())
}

async fn receive(engine: &Engine, place: i64, records: &[TopicRecord]) -> i64 {
    engine.receive_from_topic(&mapping(), &part(), place, records).await.expect("the database is there")
}

#[tokio::test]
async fn a_topics_records_are_handled_once() {
    let t = TestEngine::idle().await;
    let records: Vec<TopicRecord> = (5..25).map(|at| begin(at, &format!("e{at}"))).collect();
    let processes = (0..4).map(|_| receive(&t.engine, 0, &records));
    assert_eq!(futures_util::future::join_all(processes).await, [25; 4]);
    assert_eq!(t.count("run").await, 20);
    assert_eq!(t.engine.topic_position(&mapping(), &part()).await.ok(), Some(25));
    // A producer that sent one again, at another place.
    assert_eq!(receive(&t.engine, 25, &[begin(25, "e7")]).await, 26);
    assert_eq!(receive(&t.engine, 0, &records).await, 26, "what stands before the position is not looked at");
    assert_eq!((t.count("run").await, t.count("received_event").await), (20, 20));
}

#[tokio::test]
async fn each_partition_of_each_topic_has_its_own_position() {
    let t = TestEngine::idle().await;
    let (first, second) = (part(), TopicPart { part: 1, ..part() });
    let third = TopicPart { topic: "letters".to_owned(), part: 0 };
    let other = Mapping { source: "post".to_owned(), ..mapping() };
    let all = [(mapping(), first.clone()), (mapping(), second), (mapping(), third), (other, first)];
    for ((mapping, from), count) in all.iter().zip(1..) {
        let records: Vec<TopicRecord> =
            (0..count).map(|at| begin(at, &format!("{}/{}/{at}", from.topic, from.part))).collect();
        assert_eq!(t.engine.receive_from_topic(mapping, from, 0, &records).await.ok(), Some(count));
    }
    for ((mapping, from), count) in all.iter().zip(1..) {
        assert_eq!(t.engine.topic_position(mapping, from).await.ok(), Some(count));
    }
    assert_eq!(t.count("run").await, 10);
}

#[tokio::test]
async fn garbage_in_a_topic_is_parked_and_stops_nothing() {
    let t = TestEngine::idle().await;
    let nested = format!(r#"{{"id":"deep","type":"begin","data":{}{}}}"#, "[".repeat(125), "]".repeat(125));
    let odd_id = json!({"id": "a\u{1}b", "type": "begin"}).to_string();
    let garbage: [&[u8]; 6] = [b"\xff\xfe\x00", b"", b"[]", b"{\"id\":\"1\"}", nested.as_bytes(), odd_id.as_bytes()];
    let mut records: Vec<TopicRecord> = garbage.iter().zip(0..).map(|(value, at)| record(at, value)).collect();
    records.push(begin(6, "good"));
    records.push(TopicRecord { offset: 7, value: None });
    assert_eq!(receive(&t.engine, 0, &records).await, 8);
    let moved = async |seen, next| {
        t.engine.move_in_topic(&mapping(), &part(), seen, next).await.expect("the database is there");
        t.engine.topic_position(&mapping(), &part()).await.expect("the database is there")
    };
    assert_eq!([moved(8, 20).await, moved(8, 3).await, moved(20, 4).await], [20, 20, 4], "only from where it is");
    // What was read before that is of no use.
    assert_eq!(t.engine.receive_from_topic(&mapping(), &part(), 20, &[begin(20, "late")]).await.ok(), Some(4));
    assert_eq!(t.count("run").await, 1);
    let filter = ReceivedFilter { state: Some(ReceivedState::Parked), ..Default::default() };
    let parked = t.engine.received_events(&filter).await.expect("a list").items;
    assert_eq!(parked.len(), 6);
    assert!(parked.iter().all(|event| event.event_id.starts_with("parcels/0/")), "{parked:?}");
}

#[tokio::test]
async fn an_internal_workflow_is_not_started_from_a_topic() {
    let t = TestEngine::idle().await;
    t.execute("UPDATE backstitch.workflow SET internal = true WHERE name = 'scripted'").await;
    assert_eq!(receive(&t.engine, 0, &[begin(0, "e0")]).await, 1);
    let event = t.engine.received_events(&Default::default()).await.expect("a list").items.remove(0);
    assert_eq!(
        (event.state, event.code.as_deref(), event.run_id),
        (ReceivedState::Parked, Some("internal_workflow"), None)
    );
    assert_eq!(t.count("run").await, 0);
}

#[tokio::test]
async fn a_process_that_dies_leaves_its_records_to_another() {
    let t = TestEngine::idle().await;
    let records = [begin(0, "e0"), begin(1, "e1")];
    // It holds the position's row, and dies before its commit.
    let mut dying = t.engine.begin().await.expect("a transaction");
    let take = "INSERT INTO backstitch.topic_position VALUES ('carrier', 'parcels', 0, 2)";
    sqlx::query(take).execute(&mut *dying).await.expect("a row");
    let (engine, again) = (t.engine.clone(), records.clone());
    let other = tokio::spawn(async move { receive(&engine, 0, &again).await });
    wait_until("the other waits for it", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE '%topic_position%'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(t.engine.pool()).await.expect("a count") == 1
    })
    .await;
    drop(dying);
    assert_eq!(other.await.expect("it ends"), 2);
    assert_eq!(t.count("run").await, 2);
}

#[tokio::test]
async fn handled_events_are_forgotten_and_parked_ones_kept() {
    let t = TestEngine::idle().await;
    let read = |event: Value| mapping().read(event).expect("an event");
    let ignored = t.engine.receive(&mapping(), &read(json!({"id": "1", "type": "none"}))).await.expect("taken");
    let parked = t.engine.receive(&mapping(), &read(json!({"id": "2", "type": "begin"}))).await.expect("taken");
    assert_eq!((ignored.state, parked.state), (ReceivedState::Ignored, ReceivedState::Parked));
    t.execute("UPDATE backstitch.received_event SET received_at = received_at - interval '31 days'").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let maintenance = t.engine.maintenance(Default::default());
    let runs = tokio::spawn(maintenance.run(async { drop(stopped.await) }));
    wait_until("the handled one is forgotten", async || t.count("received_event").await == 1).await;
    drop(stop);
    runs.await.expect("it ends");
    let left = t.engine.received_events(&Default::default()).await.expect("a list").items;
    assert_eq!(left[0].state, ReceivedState::Parked);
}
