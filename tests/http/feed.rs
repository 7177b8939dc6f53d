//! The feed of events: pages and a stream that miss nothing, and refuse what is no request.

use std::time::Duration;

use backstitch::engine::{
    Engine, Registry, Role,
    outbox::{Event, NewEvent},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

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

#[tokio::test]
async fn an_operator_has_a_sink_skip_its_next_event() {
    let (server, keys) = Server::keyed().await;
    emit(&server, &["a", "b"]).await;
    let query = "INSERT INTO backstitch.event_sink (name, sequence, failures, error) VALUES ('hook', 0, 9, '413')";
    sqlx::query(query).execute(server.pool()).await.expect("a sink");
    let skip = |name: &str, role: Role, body: Value| {
        let request = server.request(Method::POST, &format!("/v1/events/sinks/{name}/skip"));
        Answer::to(request.bearer_auth(keys.of(role)).json(&body))
    };
    let body = json!({"sequence": 1, "reason": "too large for them"});
    skip("hook", Role::Starter, body.clone()).await.is_problem(403, "forbidden");
    skip("hook", Role::Operator, json!({"sequence": 1})).await.is_problem(400, "reason_required");
    skip("other", Role::Operator, body.clone()).await.is_problem(404, "unknown_sink");
    skip("hook", Role::Operator, json!({"sequence": 2, "reason": "r"})).await.is_problem(409, "wrong_state");
    for bad in [json!({"reason": "r"}), json!({"sequence": "1", "reason": "r"}), json!({"sequence": 1, "seq": 1})] {
        skip("hook", Role::Operator, bad).await.is_problem(400, "invalid_request");
    }
    skip("a%00b", Role::Operator, body.clone()).await.is_problem(400, "invalid_request");
    let done = skip("hook", Role::Operator, body.clone()).await;
    assert_eq!((done.status, &done.json["sequence"], &done.json["error"]), (200, &json!(1), &Value::Null));
    skip("hook", Role::Operator, body).await.is_problem(409, "wrong_state");
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
