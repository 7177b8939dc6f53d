//! Alerts: operators are told by mail and webhook what needs them, once, by however many processes, and when it is over.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use backstitch::{
    Secret,
    engine::{
        BreakerMode, Context, Engine, EventFields, Failure, Incoming, Mapping, Operator, Registry, Rule, StartRun,
        Then, Verb, WorkerConfig, Workflow, outbox::NewEvent,
    },
    inbox::{Webhook, signature::Scheme},
    notices::{AlertSettings, NoticeSettings},
    orders::{Notices, Orders, ShopSettings},
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    mail::{MailServer, by_mail},
    shop::Shop,
    support::{process, wait_for_within, wait_until_within},
};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Fails where it can't be undone.
struct Unlucky;

impl Workflow for Unlucky {
    const NAME: &'static str = "unlucky";
    type Input = ();
    type Output = ();
    async fn run(&self, cx: &Context, (): ()) -> Result<(), Failure> {
        cx.pivot().await;
        Err(Failure::new("no_luck", "the card of ada@example.com"))
    }
}

/// A process that tells operators: an engine and a service of its own.
fn tell(shop: &Shop, settings: &NoticeSettings) -> DropGuard {
    let engine = Engine::new(shop.pool.clone(), Registry::new());
    let orders = Orders::new(engine, ShopSettings::default());
    let orders = orders.with_notices(Notices::open(settings).expect("usable settings"));
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move { orders.deliver_notices(stopped).await });
    stop.drop_guard()
}

fn alerts(to: &str) -> AlertSettings {
    AlertSettings {
        alerts: Some(Secret::from(to)),
        alerts_secret: Some(Secret::from(SECRET)),
        public_url: Some("https://orders.example".to_owned()),
    }
}

fn by_operator() -> Operator {
    Operator::new("ops", Some("as the test says"), false).expect("an operator")
}

/// Waits for so many more decisions, a minute apart for those who decide.
async fn decisions(shop: &Shop, count: usize) {
    for _ in 0..count {
        let before = decided_at(shop).await;
        shop.pass(Duration::from_secs(61)).await;
        wait_until_within(PATIENCE, "it is decided", async || decided_at(shop).await > before).await;
    }
}

async fn decided_at(shop: &Shop) -> backstitch::engine::Time {
    sqlx::query_scalar("SELECT decided_at FROM shop.alert_turn").fetch_one(&shop.pool).await.expect("a time")
}

/// Answers as it is told, and keeps what it got.
#[derive(Clone, Default)]
struct Receiver {
    refuses: Arc<Mutex<usize>>,
    /// Ids and bodies, with whether they were taken.
    got: Arc<Mutex<Vec<(String, Value, bool)>>>,
}

impl Receiver {
    /// One that answers 503 to so many requests. Its URL has a token.
    async fn start(refuses: usize) -> (Self, String) {
        let receiver = Self { refuses: Arc::new(Mutex::new(refuses)), ..Self::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().expect("it is bound"));
        let app = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    fn got(&self) -> Vec<(String, Value, bool)> {
        self.got.lock().expect("no panic").clone()
    }

    /// Waits for a message that was taken and has an alert of this title; gives the message.
    async fn until(&self, change: &str, title: &str) -> Value {
        wait_for_within(PATIENCE, title, async || {
            let is_it = |alert: &Value| alert["title"] == title && alert["change"] == change;
            let has_it = |body: &Value| body["alerts"].as_array().is_some_and(|all| all.iter().any(is_it));
            let got = self.got();
            let found = got.iter().find(|(_, body, taken)| *taken && has_it(body));
            found.map(|(_, body, _)| body.clone()).ok_or_else(|| format!("{got:?}"))
        })
        .await
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let webhook = Webhook { scheme: Scheme::Standard, header: None, secrets: vec![Secret::from(SECRET)] };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    if webhook.verify(header, &body, now.cast_signed()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let refused = {
        let mut refuses = receiver.refuses.lock().expect("no panic");
        let refused = *refuses > 0;
        *refuses = refuses.saturating_sub(1);
        refused
    };
    let id = header("webhook-id").unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["id"], id);
    receiver.got.lock().expect("no panic").push((id, body, !refused));
    if refused { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

#[tokio::test]
async fn a_stuck_run_is_one_mail_from_two_processes() {
    let Some(server) = MailServer::start() else { return };
    let shop = Shop::without_worker().await;
    let settings = NoticeSettings { alerts: alerts("ops@example.com"), ..by_mail(&server) };
    let engine = Engine::new(shop.pool.clone(), Registry::new().workflow(Unlucky));
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(engine.clone().work(WorkerConfig::default(), stop.cancelled_owned()));
    let run = engine.start(StartRun::new::<Unlucky>(&()).expect("a start")).await.expect("a run").run;
    let _both = [tell(&shop, &settings), tell(&shop, &settings)];
    let mails = async |count| {
        wait_for_within(PATIENCE, "mails", async || {
            let mails = server.mails();
            if mails.len() == count { Ok(mails) } else { Err(format!("{mails:?}")) }
        })
        .await
    };
    let first = mails(1).await;
    assert_eq!(
        (&first[0]["to"], &first[0]["subject"]),
        (&json!("ops@example.com"), &json!("[Backstitch] unlucky is stuck: no_luck (1 run)"))
    );
    let text = first[0]["text"].as_str().expect("a text");
    for part in [format!("See https://orders.example/runs/{run}"), format!("backstitch run why {run}")] {
        assert!(text.contains(&part), "{text}");
    }
    assert!(text.contains("docs/runbook.md#alert-attention") && !text.contains("ada@"), "{text}");
    decisions(&shop, 3).await;
    assert_eq!(server.mails().len(), 1, "it is told once");
    engine.apply_verb(run, &Verb::Abandon, &by_operator()).await.expect("it is abandoned");
    // One that had looked before may still decide once.
    decisions(&shop, 3).await;
    let over = &mails(2).await[1];
    assert_eq!(over["subject"], "[Backstitch] resolved: unlucky is stuck: no_luck");
    assert_ne!(over["id"], first[0]["id"]);
    decisions(&shop, 2).await;
    assert_eq!(server.mails().len(), 2, "that it is over is told once");
}

#[tokio::test]
async fn a_webhook_that_fails_gets_the_same_alert_again() {
    let shop = Shop::without_worker().await;
    let (receiver, url) = Receiver::start(2).await;
    let settings = NoticeSettings { alerts: alerts(&url), ..NoticeSettings::default() };
    let _one = tell(&shop, &settings);
    shop.engine.set_breaker("payment/stripe", BreakerMode::Open, &by_operator()).await.expect("it is set");
    let title = "an operator holds back all calls of payment/stripe";
    let message = receiver.until("new", title).await;
    assert_eq!(message["alerts"][0]["url"], "https://orders.example/vendors");
    assert!(message["text"].as_str().is_some_and(|text| text.contains("backstitch vendor list")), "{message}");
    let got = receiver.got();
    assert_eq!(got.iter().map(|(_, _, taken)| *taken).collect::<Vec<_>>(), [false, false, true]);
    assert!(got.iter().all(|(id, ..)| *id == got[0].0), "{got:?}");
    let target: String =
        sqlx::query_scalar("SELECT target FROM shop.alert_message").fetch_one(&shop.pool).await.expect("a message");
    assert!(!target.contains("hidden"), "{target}");
    let is_sent = async || shop.orders.unsent_alerts().await.expect("a count") == 0;
    wait_until_within(PATIENCE, "that is on record", is_sent).await;
}

#[tokio::test]
async fn whatever_is_wrong_is_told() {
    let shop = Shop::without_worker().await;
    let (receiver, url) = Receiver::start(0).await;
    let difference = "INSERT INTO shop.difference
            (id, kind, about, payment_id, expected, actual, currency, state, first_seen, last_seen)
        VALUES ($1, 'amount_differs', 'pi_1', 'pi_1', 1, 2, 'EUR', 'open', shop.now(), shop.now())";
    shop.sql(difference, Uuid::now_v7()).await;
    let parked = "INSERT INTO shop.notification
            (id, cause, order_id, about, recipient, channel, address, state, created_at, next_attempt_at)
        VALUES ($1, $1, $1, 'order.placed', 'customer', 'email', 'ada@example.com', 'parked', now(), now())";
    shop.sql(parked, Uuid::now_v7()).await;
    let then: Then = serde_json::from_value(json!({"start": {"workflow": "nobody_has_it"}})).expect("a rule");
    let rules = vec![Rule { kind: "*".to_owned(), versions: None, then }];
    let mapping = Mapping { source: "parcels".to_owned(), event: EventFields::default(), rules };
    let event = json!({"id": "e1", "type": "moved", "data": {}});
    let incoming = Incoming { id: "e1".to_owned(), kind: "moved".to_owned(), version: String::new(), body: event };
    shop.engine.receive(&mapping, &incoming).await.expect("it is parked");
    // Nobody numbers it: that is what maintenance does.
    let event = NewEvent::new("thing.changed", "s1", "urn:test:1", &json!({})).expect("an event");
    let mut tx = shop.engine.begin().await.expect("a transaction");
    shop.engine.emit_in(&mut tx, &[event]).await.expect("it is emitted");
    tx.commit().await.expect("it is committed");
    shop.pass(Duration::from_secs(301)).await;
    let _one = tell(&shop, &NoticeSettings { alerts: alerts(&url), ..NoticeSettings::default() });
    for title in [
        "the books differ from the gateway's: amount_differs",
        "notices to people are parked",
        "events from outside are parked",
        "events don't reach feed",
    ] {
        receiver.until("new", title).await;
    }
}

/// A worker process that tells this URL.
fn worker(shop: &Shop, url: &str) -> tokio::process::Child {
    let mut command = process::shop(shop.url(), &shop.simulator.url(), &["worker"]);
    let command = command.env("BACKSTITCH_ALERTS", url).env("BACKSTITCH_ALERTS_SECRET", SECRET);
    command.spawn().expect("it starts")
}

#[tokio::test]
async fn a_process_killed_before_it_has_sent_loses_no_alert() {
    let shop = Shop::without_worker().await;
    shop.engine.set_breaker("payment/stripe", BreakerMode::Open, &by_operator()).await.expect("it is set");
    // It takes connections and never says a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let url = format!("http://{address}/hook");
    let mut killed = worker(&shop, &url);
    let silent = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it calls").expect("a connection");
    process::kill(killed.id().expect("it runs"));
    killed.wait().await.expect("it is dead");
    drop((silent, listener));
    let recorded: (Uuid, bool) = sqlx::query_as("SELECT id, sent_at IS NULL FROM shop.alert_message")
        .fetch_one(&shop.pool)
        .await
        .expect("it is on record");
    assert!(recorded.1, "nobody has taken it");
    let receiver = Receiver::default();
    let listener = tokio::net::TcpListener::bind(address).await.expect("the same port");
    let app = Router::new().route("/hook", post(receive)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let _second = worker(&shop, &url);
    shop.pass(Duration::from_secs(121)).await;
    receiver.until("new", "an operator holds back all calls of payment/stripe").await;
    assert_eq!(receiver.got()[0].0, recorded.0.to_string(), "it is the same message");
}

#[tokio::test]
async fn an_alert_setting_that_cant_be_used_is_refused() {
    let shop = Shop::without_worker().await;
    for (alerts, named) in [("ops@example.com", "BACKSTITCH_SMTP_URL"), ("ops", "BACKSTITCH_ALERTS")] {
        let mut command = process::shop(shop.url(), &shop.simulator.url(), &["worker"]);
        let output = command.env("BACKSTITCH_ALERTS", alerts).output().await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(named), "{said}");
    }
}
