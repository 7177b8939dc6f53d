//! An event that a sink never takes: it holds up that sink alone, and an operator skips it.

use backstitch::engine::{
    AuditFilter, Operator,
    outbox::{Event, Sink, SinkError},
};

use crate::{
    outbox::{Received, Relay, emit, n_of, number, numbers, process},
    support::{engine::*, script::*, wait_until},
};

/// Takes nothing of one subject, and delivers whole batches or nothing.
struct Picky(&'static str, Received);

impl Sink for Picky {
    fn name(&self) -> &str {
        "picky"
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
        if events.iter().any(|event| event.subject == self.0) {
            return Err(SinkError::new("too large"));
        }
        self.1.events.lock().expect("no panic").extend_from_slice(events);
        Ok(())
    }
}

fn by_operator() -> Operator {
    Operator { actor: "ann".into(), reason: Some("it never fits".into()), ..Operator::default() }
}

#[tokio::test]
async fn an_operator_skips_what_a_sink_never_takes() {
    let t = TestEngine::idle().await;
    let received = Received::default();
    for (n, subject) in [(1, "a"), (2, "a"), (3, "large"), (4, "a"), (5, "a")] {
        emit(&t, subject, n).await;
    }
    number(&t.engine).await;
    let relay = Relay::of(process(&t).with_sink(Picky("large", received.clone())));
    let state = async || t.engine.sinks().await.expect("reads").into_iter().next();
    wait_until("it stands before what it never takes", async || {
        state().await.is_some_and(|sink| sink.sequence == 2 && sink.error.is_some())
    })
    .await;
    assert_eq!(numbers(&received.all()), [1, 2], "the batch that it was in is not held up");
    let by = by_operator();
    let code = async |sink: &str, sequence: i64, by: &Operator| {
        t.engine.skip_event(sink, sequence, by).await.map(|sink| sink.sequence).map_err(|error| error.code())
    };
    assert_eq!(code("picky", 3, &Operator { reason: None, ..by_operator() }).await, Err("reason_required"));
    assert_eq!(code("nobody", 3, &by).await, Err("unknown_sink"));
    for other in [2, 4] {
        assert_eq!(code("picky", other, &by).await, Err("wrong_state"), "{other}");
    }
    assert_eq!(code("picky", 3, &Operator { dry_run: true, ..by_operator() }).await, Ok(3));
    assert_eq!(state().await.expect("a sink").sequence, 2, "a dry run changes nothing");
    assert_eq!(code("picky", 3, &by).await, Ok(3));
    wait_until("the rest has come", async || received.all().len() == 4).await;
    assert_eq!(numbers(&received.all()), [1, 2, 4, 5]);
    let audit = AuditFilter { action: Some("skip_event".to_owned()), ..AuditFilter::default() };
    let done = t.engine.audit(&audit).await.expect("reads").items.remove(0);
    assert_eq!((done.subject.as_deref(), done.reason.as_deref()), (Some("sink picky"), Some("it never fits")));
    let after: serde_json::Value = serde_json::from_str(done.after.expect("what became of it").get()).expect("JSON");
    assert_eq!(after["sequence"], 3);
    relay.kill();
}

#[tokio::test]
async fn a_delivery_under_way_undoes_no_skip() {
    let t = TestEngine::idle().await;
    let gate = Gate::new();
    struct Refuses(Gate);
    impl Sink for Refuses {
        fn name(&self) -> &str {
            "s"
        }
        async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
            self.0.pass().await;
            if n_of(&events[0]) == 1 { Err(SinkError::new("never")) } else { Ok(()) }
        }
    }
    emit(&t, "a", 1).await;
    number(&t.engine).await;
    let relay = Relay::of(process(&t).with_sink(Refuses(gate.clone())));
    gate.is_reached().await;
    let skipped = t.engine.skip_event("s", 1, &by_operator()).await.expect("it is skipped");
    assert_eq!((skipped.sequence, skipped.failures), (1, 0));
    gate.open();
    emit(&t, "a", 2).await;
    wait_until("it goes on", async || t.engine.sinks().await.expect("reads")[0].sequence == 2).await;
    let sink = t.engine.sinks().await.expect("reads").remove(0);
    assert_eq!((sink.failures, sink.error), (0, None), "what was under way is not on record");
    assert_eq!(gate.reached(), 2);
    relay.kill();
}

#[tokio::test]
async fn a_sink_that_has_moved_meanwhile_is_not_set_back() {
    let t = TestEngine::idle().await;
    for n in 1..4 {
        emit(&t, "a", n).await;
    }
    number(&t.engine).await;
    t.execute("INSERT INTO backstitch.event_sink (name, sequence) VALUES ('s', 0)").await;
    let mut moving = t.engine.begin().await.expect("begins");
    sqlx::query("UPDATE backstitch.event_sink SET sequence = 3").execute(&mut *moving).await.expect("it has got them");
    let engine = t.engine.clone();
    let skipping = tokio::spawn(async move { engine.skip_event("s", 1, &by_operator()).await });
    wait_until("the operator waits for it", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%event_sink SET sequence%'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(t.engine.pool()).await.expect("reads") == 1
    })
    .await;
    moving.commit().await.expect("commits");
    let refused = skipping.await.expect("it ends").expect_err("event 1 has been delivered");
    assert_eq!((refused.code(), t.engine.sinks().await.expect("reads")[0].sequence), ("wrong_state", 3));
}
