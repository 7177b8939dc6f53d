//! Events: emitted with what they tell of, numbered after their commit, delivered in order, at least once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use backstitch::engine::{
    Engine, Registry, guarded,
    outbox::{Event, EventFilter, LocalSink, NewEvent, Sink, SinkError, Start},
};
use serde_json::json;
use sqlx::{PgConnection, postgres::PgPoolOptions};
use tokio::task::JoinSet;

use crate::support::{engine::*, script::*, wait_until};

fn event(subject: &str, n: i64) -> NewEvent {
    NewEvent::new("thing.changed", subject, "urn:test:1", &json!({"n": n})).expect("JSON")
}

pub(crate) async fn emit(t: &TestEngine, subject: &str, n: i64) {
    let mut tx = t.engine.begin().await.expect("begins");
    t.engine.emit_in(&mut tx, &[event(subject, n)]).await.expect("emits");
    tx.commit().await.expect("commits");
}

pub(crate) async fn number(engine: &Engine) {
    while engine.number_events().await.expect("numbers").1 {}
}

/// All events behind a number, page by page.
async fn feed(engine: &Engine, mut after: i64, filter: &EventFilter) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        let page = EventFilter { after: Some(after), limit: Some(7), ..filter.clone() };
        let page = engine.events(&page).await.expect("reads");
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => after = next.parse().expect("a number"),
            None => return all,
        }
    }
}

async fn whole_feed(t: &TestEngine) -> Vec<Event> {
    feed(&t.engine, 0, &EventFilter::default()).await
}

pub(crate) fn n_of(event: &Event) -> i64 {
    event.data["n"].as_i64().expect("a number")
}

pub(crate) fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().map(n_of).collect()
}

/// What has been delivered, and whether the sink works.
#[derive(Clone, Default)]
pub(crate) struct Received {
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    is_down: Arc<AtomicBool>,
}

impl Received {
    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().expect("no panic").clone()
    }
}

/// Keeps what it gets, under this name.
pub(crate) struct To(pub(crate) &'static str, pub(crate) Received);

impl Sink for To {
    fn name(&self) -> &str {
        self.0
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
        for (at, event) in events.iter().enumerate() {
            if self.1.is_down.load(Ordering::SeqCst) {
                return Err(SinkError::new("it is down").after(at));
            }
            self.1.events.lock().expect("no panic").push(event.clone());
        }
        Ok(())
    }
}

/// A process that relays; dropped, it is killed.
pub(crate) struct Relay(#[allow(dead_code, reason = "its drop ends the process")] tokio::runtime::Runtime);

impl Relay {
    pub(crate) fn of(engine: Engine) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(engine.maintenance(Default::default()).run(std::future::pending()));
        Self(runtime)
    }

    pub(crate) fn kill(self) {
        self.0.shutdown_background();
    }
}

/// Another process on the same database.
pub(crate) fn process(t: &TestEngine) -> Engine {
    let pool = guarded(PgPoolOptions::new()).max_connections(4).connect_lazy(t.database().url()).expect("a URL");
    Engine::new(pool, Registry::new())
}

/// What was rolled back is not looked for for ever: until all transactions that began before are over, those of other databases,
/// too.
async fn no_gap_is_left(t: &TestEngine) {
    wait_until("no gap is left", async || {
        number(&t.engine).await;
        t.count("event_gap").await == 0
    })
    .await;
}

async fn end_leases(t: &TestEngine) {
    t.execute("UPDATE backstitch.event_sink SET leased_until = '-infinity'").await;
}

#[tokio::test]
async fn events_leave_only_with_their_commit() {
    let t = TestEngine::new().await;
    t.script.on("book", Side::Run, [Do::Emit("lost", Do::Failed("busy").into()), Do::Emit("kept", Do::Ok.into())]);
    let run = t.ends(&[call("book")], "completed").await;
    let mut tx = t.engine.begin().await.expect("begins");
    t.engine.emit_in(&mut tx, &[event("a", 1)]).await.expect("emits");
    tx.rollback().await.expect("rolls back");
    number(&t.engine).await;
    let all = whole_feed(&t).await;
    let left: Vec<_> = all.iter().map(|event| (event.event_type.as_str(), event.subject.clone())).collect();
    assert_eq!(left, [("kept", run.id.to_string())]);
    t.finish().await;
}

#[tokio::test]
async fn an_open_transaction_delays_nobody_and_is_not_skipped() {
    let t = TestEngine::idle().await;
    let mut slow = t.engine.begin().await.expect("begins");
    t.engine.emit_in(&mut slow, &[event("slow", 1)]).await.expect("emits");
    let mut lost = t.engine.begin().await.expect("begins");
    t.engine.emit_in(&mut lost, &[event("lost", 2)]).await.expect("emits");
    emit(&t, "quick", 3).await;
    number(&t.engine).await;
    let first = whole_feed(&t).await;
    assert_eq!(numbers(&first), [3], "it waits for nobody");
    lost.rollback().await.expect("rolls back");
    slow.commit().await.expect("commits");
    number(&t.engine).await;
    assert_eq!(numbers(&feed(&t.engine, first[0].sequence, &EventFilter::default()).await), [1], "nor is it skipped");
    no_gap_is_left(&t).await;
}

/// Writes events of three subjects, each in the order of its lock; every seventh is rolled back.
async fn write(engine: Engine, writer: i64) {
    for turn in 0..40 {
        let subject = (writer + turn) % 3;
        let mut tx = engine.begin().await.expect("begins");
        let lock = "SELECT pg_advisory_xact_lock($1)";
        sqlx::query(lock).bind(subject).execute(&mut *tx).await.expect("locks");
        let n: i64 = sqlx::query_scalar("SELECT nextval('turn')").fetch_one(&mut *tx).await.expect("counts");
        engine.emit_in(&mut tx, &[event(&subject.to_string(), n)]).await.expect("emits");
        if turn % 7 == 3 {
            tx.rollback().await.expect("rolls back");
        } else {
            tx.commit().await.expect("commits");
        }
    }
}

/// That each subject's events are in the order in which they were written.
fn assert_ordered(events: &[Event]) {
    let mut of_subject: BTreeMap<&str, i64> = BTreeMap::new();
    for event in events {
        let before = of_subject.insert(&event.subject, n_of(event));
        assert!(before.is_none_or(|before| before <= n_of(event)), "{before:?} and then {event:?}");
    }
}

#[tokio::test]
async fn each_event_is_numbered_and_read_once_under_writers() {
    let t = TestEngine::idle().await;
    t.execute("CREATE SEQUENCE turn").await;
    let mut writers = JoinSet::new();
    (0..6).for_each(|writer| drop(writers.spawn(write(process(&t), writer))));
    let stop = Arc::new(AtomicBool::new(false));
    let mut numberers = JoinSet::new();
    for _ in 0..2 {
        let (engine, stop) = (process(&t), stop.clone());
        numberers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                engine.number_events().await.expect("numbers");
            }
        });
    }
    let mut read: Vec<Event> = Vec::new();
    let read_on = async |read: &mut Vec<Event>| {
        let after = read.last().map_or(0, |event| event.sequence);
        read.extend(feed(&t.engine, after, &EventFilter::default()).await);
    };
    while !writers.is_empty() {
        read_on(&mut read).await;
        while writers.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    wait_until("all are numbered", async || {
        t.count("event WHERE position > (SELECT high FROM backstitch.event_head)").await == 0
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    while numberers.join_next().await.is_some_and(|ended| ended.is_ok()) {}
    number(&t.engine).await;
    read_on(&mut read).await;
    let distinct: BTreeSet<_> = read.iter().map(|event| event.id).collect();
    assert_eq!((read.len(), distinct.len() as i64), (204, t.count("event").await), "each once");
    assert!(read.iter().map(|event| event.sequence).eq(1..=204), "in the order of their numbers");
    assert_ordered(&read);
    let one = EventFilter {
        subject: Some("1".to_owned()),
        event_type: Some("thing.changed".to_owned()),
        ..EventFilter::default()
    };
    let of_one: Vec<Event> = read.iter().filter(|event| event.subject == "1").cloned().collect();
    assert_eq!(feed(&t.engine, 0, &one).await, of_one);
    no_gap_is_left(&t).await;
}

#[tokio::test]
async fn a_sink_that_is_down_delays_only_itself() {
    let t = TestEngine::idle().await;
    let (up, down) = (Received::default(), Received::default());
    down.is_down.store(true, Ordering::SeqCst);
    let relay = Relay::of(process(&t).with_sink(To("up", up.clone())).with_sink(To("down", down.clone())));
    for n in 0..250 {
        emit(&t, "a", n).await;
    }
    let on_record =
        async || t.engine.sinks().await.expect("reads").iter().any(|at| at.name == "up" && at.sequence == 250);
    wait_until("the other sink has all", on_record).await;
    assert!(numbers(&up.all()).into_iter().eq(0..250));
    let lag = t.engine.outbox_lag().await.expect("reads");
    let rows: Vec<_> = lag.iter().map(|lag| (lag.sink.as_str(), lag.rows, lag.seconds > 0.0)).collect();
    assert_eq!(rows, [("down", 250, true), ("feed", 0, false), ("up", 0, false)]);
    let state = t.engine.sinks().await.expect("reads").remove(0);
    assert!(state.failures > 0 && state.error.as_deref() == Some("it is down"), "{state:?}");
    down.is_down.store(false, Ordering::SeqCst);
    wait_until("it has caught up", async || down.all().len() >= 250).await;
    assert!(numbers(&down.all()).into_iter().eq(0..250));
    let state = async || t.engine.sinks().await.expect("reads").remove(0);
    wait_until("that is on record", async || state().await.sequence == 250).await;
    let state = state().await;
    assert_eq!((state.failures, state.failing_since, state.error), (0, None, None), "it works again");
    relay.kill();
}

#[tokio::test]
async fn a_killed_relay_leaves_what_comes_again_with_its_id() {
    let t = TestEngine::idle().await;
    let received = Received::default();
    let gate = Gate::new();
    for n in 0..20 {
        emit(&t, "a", n).await;
    }
    number(&t.engine).await;
    // It dies between the delivery and its record.
    struct Dies(Received, Gate);
    impl Sink for Dies {
        fn name(&self) -> &str {
            "s"
        }
        async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
            self.0.events.lock().expect("no panic").extend_from_slice(events);
            self.1.pass().await;
            Ok(())
        }
    }
    let first = Relay::of(process(&t).with_sink(Dies(received.clone(), gate.clone())));
    gate.is_reached().await;
    first.kill();
    let before = received.all();
    assert_eq!(numbers(&before), (0..20).collect::<Vec<_>>());
    end_leases(&t).await;
    let second = Relay::of(process(&t).with_sink(To("s", received.clone())));
    emit(&t, "a", 20).await;
    wait_until("all have come", async || numbers(&received.all()).contains(&20)).await;
    let again = received.all().split_off(20);
    assert_eq!(again[..20], before, "the same events, with the same ids");
    assert_eq!(again.len(), 21);
    second.kill();
}

#[tokio::test]
async fn who_has_lost_the_lease_moves_no_cursor() {
    let t = TestEngine::idle().await;
    let gate = Gate::new();
    struct Slow(Gate);
    impl Sink for Slow {
        fn name(&self) -> &str {
            "s"
        }
        async fn deliver(&self, _: &[Event]) -> Result<(), SinkError> {
            self.0.pass().await;
            Ok(())
        }
    }
    emit(&t, "a", 1).await;
    let relay = Relay::of(process(&t).with_sink(Slow(gate.clone())));
    gate.is_reached().await;
    // Another one takes it, while the first is about to write down how far it has got.
    let mut taking = t.engine.begin().await.expect("begins");
    let taken = "UPDATE backstitch.event_sink SET token = gen_random_uuid(), leased_until = now() + interval '1 hour'";
    sqlx::query(taken).execute(&mut *taking).await.expect("takes it");
    gate.open();
    let waiting = async || -> i64 {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%event_sink SET sequence%'";
        sqlx::query_scalar(waiting).fetch_one(t.engine.pool()).await.expect("reads")
    };
    wait_until("it is about to", async || waiting().await == 1).await;
    taking.commit().await.expect("commits");
    wait_until("it has tried", async || waiting().await == 0).await;
    emit(&t, "a", 2).await;
    wait_until("the second is numbered", async || t.engine.newest_event().await.expect("reads") == 2).await;
    assert_eq!(t.engine.sinks().await.expect("reads")[0].sequence, 0);
    assert_eq!(gate.reached(), 1, "it delivers nothing more");
    relay.kill();
}

/// Writes into a table of our own, and fails at first.
struct Local(AtomicBool);

impl LocalSink for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn start(&self) -> Start {
        Start::Oldest
    }

    async fn deliver(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            sqlx::query("INSERT INTO copy VALUES ($1)").bind(n_of(event)).execute(&mut *tx).await?;
        }
        if self.0.swap(false, Ordering::SeqCst) { Err(SinkError::new("not yet")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_local_sink_commits_with_its_progress() {
    let t = TestEngine::idle().await;
    t.execute("CREATE TABLE copy (n bigint PRIMARY KEY)").await;
    for n in 0..30 {
        emit(&t, "a", n).await;
    }
    let relay = Relay::of(process(&t).with_local_sink(Local(AtomicBool::new(true))));
    let written = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM copy").fetch_one(t.engine.pool()).await.expect("reads")
    };
    wait_until("all are written", async || written().await == 30).await;
    let same = "SELECT s.xmin = t.xmin FROM backstitch.event_sink s, copy t WHERE t.n = 29";
    let same: bool = sqlx::query_scalar(same).fetch_one(t.engine.pool()).await.expect("reads");
    assert!(same || t.engine.sinks().await.expect("reads")[0].sequence == 30, "they are of one transaction");
    relay.kill();
}

#[tokio::test]
async fn lag_is_true_while_nobody_relays() {
    let t = TestEngine::idle().await;
    let received = Received::default();
    let relay = Relay::of(process(&t).with_sink(To("s", received.clone())));
    emit(&t, "a", 1).await;
    wait_until("it has come", async || received.all().len() == 1).await;
    wait_until("that is on record", async || t.engine.sinks().await.expect("reads")[0].sequence == 1).await;
    relay.kill();
    emit(&t, "a", 2).await;
    emit(&t, "a", 3).await;
    t.advance(600.0).await;
    let lag = t.engine.outbox_lag().await.expect("reads");
    let rows: Vec<_> = lag.iter().map(|lag| (lag.sink.as_str(), lag.rows, lag.seconds >= 600.0)).collect();
    assert_eq!(rows, [("feed", 2, true), ("s", 2, true)]);
}

#[tokio::test]
async fn events_are_forgotten_when_each_sink_has_them() {
    const DAYS: f64 = 8.0 * 24.0 * 3600.0;
    let t = TestEngine::idle().await;
    emit(&t, "a", 1).await;
    number(&t.engine).await;
    t.execute("INSERT INTO backstitch.event_sink (name, sequence) VALUES ('s', 0), ('ahead', 1)").await;
    t.advance(DAYS).await;
    emit(&t, "a", 2).await;
    number(&t.engine).await;
    assert!(!t.engine.forget_events().await.expect("runs"));
    assert_eq!(whole_feed(&t).await.len(), 2, "one of the sinks lacks it");
    assert!(t.engine.forget_sink("s").await.expect("runs"));
    t.engine.forget_events().await.expect("runs");
    assert_eq!(numbers(&whole_feed(&t).await), [2]);
    assert_eq!((t.count("event").await, t.count("event_range").await), (1, 1));
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let t = TestEngine::idle().await;
    let mut tx = t.engine.begin().await.expect("begins");
    let large = "x".repeat(300_000);
    let bad = [
        (NewEvent { event_type: "".into(), ..event("a", 1) }, "invalid_request"),
        (event(&"s".repeat(300), 1), "invalid_request"),
        (event("a\0", 1), "invalid_request"),
        (NewEvent::new("t", "a", "urn:test:1", &json!({"x": "\u{0}"})).expect("JSON"), "invalid_request"),
        (NewEvent::new("t", "a", "urn:test:1", &large).expect("JSON"), "payload_too_large"),
    ];
    for (event, code) in bad {
        let refused = t.engine.emit_in(&mut tx, &[event]).await.expect_err("it is refused");
        assert_eq!(refused.code(), code, "{refused}");
    }
    let many = vec![event("a", 1); 1_001];
    assert_eq!(t.engine.emit_in(&mut tx, &many).await.expect_err("refused").code(), "invalid_request");
    tx.commit().await.expect("it is of use");
    assert_eq!(t.count("event").await, 0);
}
