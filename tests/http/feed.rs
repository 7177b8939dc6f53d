//! The feed of events: pages and a stream that miss nothing, and refuse what is no request.

use std::time::Duration;

use backstitch::engine::{
    Engine, Registry,
    outbox::{Event, NewEvent},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::Server;

/// Emits events and has them numbered.
async fn emit(server: &Server, subjects: &[&str]) {
    let engine = Engine::new(server.pool().clone(), Registry::new());
    let mut tx = engine.begin().await.expect("begins");
    let event =
        |subject: &&str| NewEvent::new("thing.changed", *subject, "urn:test:1", &json!({"a": 1})).expect("JSON");
    engine.emit_in(&mut tx, &subjects.iter().map(event).collect::<Vec<_>>()).await.expect("emits");
    tx.commit().await.expect("commits");
    while engine.number_events().await.expect("numbers").1 {}
}

fn sequences(answer: &Value) -> Vec<i64> {
    let items = answer["items"].as_array().expect("a list");
    items.iter().map(|event| event["sequence"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn the_feed_pages_through_cloud_events() {
    let server = Server::idle().await;
    emit(&server, &["a", "b", "a", "c", "a"]).await;
    let first = server.get("/v1/events?limit=3").await;
    assert_eq!((first.status, sequences(&first.json)), (200, vec![1, 2, 3]));
    let next = first.json["next_cursor"].as_str().expect("there are more");
    let second = server.get(&format!("/v1/events?limit=3&after={next}")).await.json;
    assert_eq!((sequences(&second), &second["next_cursor"]), (vec![4, 5], &Value::Null));
    let of_a = server.get("/v1/events?subject=a&after=1&type=thing.changed").await.json;
    assert_eq!(sequences(&of_a), [3, 5]);
    assert_eq!(sequences(&server.get("/v1/events?type=other").await.json), [0_i64; 0]);
    assert_eq!(sequences(&server.get("/v1/events?after=9223372036854775807").await.json), [0_i64; 0]);
    let event = &first.json["items"][0];
    let named = ["specversion", "source", "type", "subject", "dataschema", "datacontenttype"].map(|name| &event[name]);
    let expected = ["1.0", "urn:backstitch:backstitch", "thing.changed", "a", "urn:test:1", "application/json"];
    assert_eq!(named, expected);
    assert_eq!(event["data"], json!({"a": 1}));
}

#[tokio::test]
async fn what_is_no_place_in_the_feed_is_refused() {
    let server = Server::idle().await;
    for query in ["after=-1", "after=x", "limit=0", "limit=201", "subject=", "type=%00", "before=1"] {
        for path in ["/v1/events", "/v1/events/stream"] {
            let answer = server.get(&format!("{path}?{query}")).await;
            assert_eq!((answer.status, &answer.json["code"]), (400, &"invalid_request".into()), "{path}?{query}");
        }
    }
    let odd = server.request(Method::GET, "/v1/events/stream").header("last-event-id", "7a").send().await;
    assert_eq!(odd.expect("an answer").status(), StatusCode::BAD_REQUEST);
}

/// The next `count` events of a stream.
async fn follow(server: &Server, last: Option<i64>, count: usize) -> Vec<Event> {
    let mut request = server.request(Method::GET, "/v1/events/stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let mut stream = request.send().await.expect("a stream");
    let mut text = String::new();
    let read = async {
        while text.matches("\n\n").count() < count {
            let chunk = stream.chunk().await.expect("it can be read").expect("it goes on");
            text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("events come");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event")).collect()
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_left() {
    let server = Server::idle().await;
    emit(&server, &["a", "b"]).await;
    let first = follow(&server, None, 2).await;
    let (rest, ()) = tokio::join!(follow(&server, Some(1), 3), emit(&server, &["c", "d"]));
    let subjects = |events: &[Event]| events.iter().map(|event| event.subject.clone()).collect::<Vec<_>>();
    assert_eq!(
        (subjects(&first), subjects(&rest)),
        (vec!["a".into(), "b".into()], vec!["b".into(), "c".into(), "d".into()])
    );
    assert_eq!(first[1], rest[0], "with the same id");
}
