//! Promise: a run is one trace. Its id is the caller's or the run's own, and every outside call carries the traceparent of
//! its attempt.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, http::HeaderMap, routing::any};
use backstitch::{
    engine::{
        Activity, ActivityContext, ActivityError, Context, Failure, Registry, StartRun, Trace, Verified, WorkerConfig,
        Workflow, current_traceparent,
    },
    payments::{GatewayConfig, PaymentGateway, Secret, StripeGateway},
};
use tokio::net::TcpListener;

use crate::support::{engine::*, script::Op};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Log = Arc<Mutex<Vec<(&'static str, String)>>>;

fn note(log: &Log, what: &'static str, traceparent: String) {
    log.lock().unwrap_or_else(PoisonError::into_inner).push((what, traceparent));
}

/// Notes each call, and has a gateway asked: unknown at first, then verified as never done, then done, then undone.
struct Traced {
    log: Log,
    gateway: StripeGateway,
}

impl Traced {
    async fn called(&self, what: &'static str, cx: &ActivityContext) {
        assert_eq!(current_traceparent().as_deref(), Some(cx.traceparent().as_str()), "{what}");
        note(&self.log, what, cx.traceparent());
        let _ = self.gateway.get_intent("pi_1").await;
    }
}

impl Activity for Traced {
    const NAME: &'static str = "traced";
    const UNDOABLE: bool = true;
    const VERIFIABLE: bool = true;
    type Input = ();
    type Output = ();
    async fn run(&self, cx: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        self.called("run", cx).await;
        if cx.attempt() == 1 { Err(ActivityError::unknown("lost", "no answer")) } else { Ok(()) }
    }
    async fn verify(&self, cx: &ActivityContext, (): &()) -> Result<Verified<()>, ActivityError> {
        self.called("verify", cx).await;
        Ok(Verified::NeverWill)
    }
    async fn undo(&self, cx: &ActivityContext, (): &(), _: Option<&()>) -> Result<(), ActivityError> {
        self.called("undo", cx).await;
        Ok(())
    }
}

struct FailsAfter;

impl Workflow for FailsAfter {
    const NAME: &'static str = "fails_after";
    type Input = ();
    type Output = ();
    async fn run(&self, cx: &Context, (): ()) -> Result<(), Failure> {
        cx.call::<Traced>(()).await?;
        Err(Failure::new("no", "so that the step is undone"))
    }
}

async fn receive(State(log): State<Log>, headers: HeaderMap) {
    let value = headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
    note(&log, "gateway", value.to_owned());
}

#[tokio::test]
async fn each_call_is_a_span_of_the_callers_trace() {
    assert_eq!(current_traceparent(), None);
    let log = Log::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().fallback(any(receive)).with_state(log.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut config = GatewayConfig::new(url, Secret::new("sk_test"));
    config.traceparent = Some(current_traceparent);
    let gateway = StripeGateway::new(&config).expect("a gateway");

    let mut t = TestEngine::idle().await;
    let registry = Registry::new().workflow(FailsAfter).activity(Traced { log: log.clone(), gateway });
    t.add_worker_with(WorkerConfig::default(), registry).await;
    let request =
        StartRun { traceparent: Some(CALLER.to_owned()), ..StartRun::new::<FailsAfter>(&()).expect("a start") };
    let run = t.engine.start(request).await.expect("it starts").run;
    let ended = t.is(run, "compensated").await;
    assert_eq!(ended.trace_id, "0af7651916cd43dd8448eb211c80319c");

    let log = log.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let calls: Vec<_> = log.iter().map(|(what, _)| *what).collect();
    assert_eq!(calls, ["run", "gateway", "verify", "gateway", "run", "gateway", "undo", "gateway"]);
    for pair in log.chunks(2) {
        assert_eq!(pair[0].1, pair[1].1, "the gateway gets the traceparent of {}", pair[0].0);
    }
    let traces: HashSet<_> = log.iter().map(|(_, text)| Trace::parse(text).expect("a traceparent")).collect();
    assert_eq!(traces.len(), 4, "each has a span of its own: {log:?}");
    assert!(traces.iter().all(|trace| trace.id_text() == ended.trace_id && trace.flags == 1));
    assert!(
        !traces.iter().any(|trace| trace.parent == Some(0xb7ad_6b71_6920_3331)),
        "none passes the caller's off as its own"
    );
    t.finish().await;
}

#[tokio::test]
async fn a_run_without_a_caller_is_its_own_trace() {
    let t = TestEngine::new().await;
    for came in [None, Some("no trace".to_owned())] {
        let request = StartRun { traceparent: came, ..request("scripted", &[Op::Now]) };
        let run = t.engine.start(request).await.expect("it starts").run;
        assert_eq!(t.is(run, "completed").await.trace_id, run.simple().to_string());
    }
    assert_eq!(t.count("run WHERE traceparent IS NOT NULL").await, 0);
    t.finish().await;
}
