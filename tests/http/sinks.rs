//! The webhook sink against a receiver that refuses: signed, in order, each event until it is taken.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use backstitch::{
    Secret,
    engine::{
        Engine, Registry,
        outbox::{Event, NewEvent, SinkState},
    },
    inbox::{Webhook, signature::Scheme},
    sinks::WebhookSink,
};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{TestDatabase, wait_until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What it says to every third request. None of it is a reason to pass an event over.
const REFUSALS: [StatusCode; 3] = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::PAYLOAD_TOO_LARGE, StatusCode::FOUND];

/// Takes what is signed well, and refuses every third request.
#[derive(Clone, Default)]
struct Receiver {
    requests: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<Event>>>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let webhook = Webhook { scheme: Scheme::Standard, header: None, secrets: vec![Secret::from(SECRET)] };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    if webhook.verify(header, &body, now.cast_signed()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let event: Event = serde_json::from_slice(&body).expect("a CloudEvent");
    assert_eq!(header("webhook-id"), Some(event.id.to_string().as_str()));
    assert_eq!(header("content-type"), Some("application/cloudevents+json"));
    let before = receiver.requests.fetch_add(1, Ordering::SeqCst);
    if before % 3 == 1 {
        return REFUSALS[before / 3 % REFUSALS.len()];
    }
    receiver.taken.lock().expect("no panic").push(event);
    StatusCode::NO_CONTENT
}

/// A relay of nine events to a receiver.
struct Relayed {
    _relay: AbortOnDropHandle<()>,
    engine: Engine,
    _database: TestDatabase,
}

impl Relayed {
    async fn to(receiver: Router) -> Self {
        let database = TestDatabase::new().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, receiver).await });
        let sink = WebhookSink::new(&url, Secret::from(SECRET)).expect("a sink");
        let engine = Engine::new(database.pool().clone(), Registry::new()).with_sink(sink);
        let mut tx = engine.begin().await.expect("begins");
        let event = |n: usize| NewEvent::new("thing.changed", format!("s{n}"), "urn:test:1", &n).expect("JSON");
        engine.emit_in(&mut tx, &(0..9).map(event).collect::<Vec<_>>()).await.expect("emits");
        tx.commit().await.expect("commits");
        let relay = tokio::spawn(engine.maintenance(Default::default()).run(std::future::pending()));
        Self { engine, _database: database, _relay: AbortOnDropHandle::new(relay) }
    }

    async fn sink(&self) -> Option<SinkState> {
        self.engine.sinks().await.expect("reads").into_iter().next()
    }

    async fn ends(&self) {
        wait_until("all are on record", async || self.sink().await.is_some_and(|sink| sink.sequence == 9)).await;
    }
}

#[tokio::test]
async fn a_webhook_gets_signed_events_in_order() {
    let receiver = Receiver::default();
    let relayed = Relayed::to(Router::new().route("/hook", post(receive)).with_state(receiver.clone())).await;
    relayed.ends().await;
    let taken = receiver.taken.lock().expect("no panic").clone();
    assert!(taken.iter().map(|event| event.sequence).eq(1..=9), "in order, none twice: the refused one comes next");
}

/// Takes all, a second each.
async fn receive_slowly(State(taken): State<Arc<AtomicUsize>>) -> StatusCode {
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    taken.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn a_slow_webhook_is_not_a_failing_one() {
    let taken = Arc::new(AtomicUsize::new(0));
    let relayed = Relayed::to(Router::new().route("/hook", post(receive_slowly)).with_state(taken.clone())).await;
    wait_until("some are on record", async || relayed.sink().await.is_some_and(|sink| sink.sequence > 0)).await;
    let some = relayed.sink().await.expect("a sink");
    assert!(some.sequence < 9, "there was no time for all: {some:?}");
    assert_eq!((some.failures, some.error), (0, None));
    relayed.ends().await;
    assert_eq!(taken.load(Ordering::SeqCst), 9, "none came again");
}

#[test]
fn a_webhook_without_url_or_secret_is_refused() {
    for (url, secret) in [("ftp://a/b", SECRET), ("", SECRET), ("http://a/b", ""), ("http://a/b", "whsec_%")] {
        assert!(WebhookSink::new(url, Secret::from(secret)).is_err(), "{url} {secret}");
    }
}
