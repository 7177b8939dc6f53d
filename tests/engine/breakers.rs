//! Circuit breakers: one state for all processes, and nothing written while all is well.

use std::time::Duration;

use backstitch::engine::{BreakerMode, BreakerRules, BreakerState, Engine, Operator, Registry};

use crate::support::{engine::*, wait_until};

const RULES: BreakerRules =
    BreakerRules { window_ms: 60_000, least_calls: 4, failing_percent: 50, open_ms: 500, probe_ms: 60_000 };

/// An engine as another process has it.
fn process(t: &TestEngine, rules: BreakerRules) -> Engine {
    Engine::new(t.engine.pool().clone(), Registry::new()).with_breaker_rules(rules)
}

/// Calls once; whether that was let through.
async fn call(engine: &Engine, served: bool) -> bool {
    match engine.breaker("acme", "charge").admit().await {
        Ok(admitted) => {
            admitted.record(served);
            true
        }
        Err(_) => false,
    }
}

async fn state(engine: &Engine) -> Option<BreakerState> {
    let scopes = engine.breakers().await.expect("reads");
    scopes.first().and_then(|scope| scope.operations.first()).map(|operation| operation.state)
}

#[tokio::test]
async fn calls_that_are_served_write_nothing() {
    let t = TestEngine::idle().await;
    let engine = process(&t, RULES);
    for _ in 0..1_000 {
        assert!(call(&engine, true).await);
    }
    assert_eq!(t.count("breaker").await, 0);
}

#[tokio::test]
async fn processes_share_what_a_breaker_is() {
    let t = TestEngine::idle().await;
    let rules = BreakerRules { open_ms: 60_000, ..RULES };
    let (one, other) = (process(&t, rules), process(&t, rules));
    assert!(call(&other, true).await, "closed");
    wait_until("it is open for who has failed", async || !call(&one, false).await).await;
    assert_eq!(state(&one).await, Some(BreakerState::Open));
    wait_until("and for the other, who has not", async || !call(&other, true).await).await;
    assert!(other.breaker("acme", "refund").admit().await.is_ok(), "another operation");
    assert!(other.breaker("other", "charge").admit().await.is_ok(), "another system");
}

#[tokio::test]
async fn one_probe_closes_it_for_all() {
    let t = TestEngine::idle().await;
    let (one, other) = (process(&t, RULES), process(&t, RULES));
    wait_until("it is open", async || !call(&one, false).await).await;
    wait_until("the other knows", async || !call(&other, false).await || state(&other).await.is_none()).await;
    let probe = std::cell::RefCell::new(None);
    wait_until("a probe may go", async || {
        *probe.borrow_mut() = one.breaker("acme", "charge").admit().await.ok();
        probe.borrow().is_some()
    })
    .await;
    assert_eq!(state(&one).await, Some(BreakerState::HalfOpen));
    tokio::time::sleep(Duration::from_millis(RULES.open_ms.unsigned_abs())).await;
    for _ in 0..20 {
        assert!(!call(&one, true).await && !call(&other, true).await, "one probe at a time");
    }
    probe.take().expect("the probe").record(true);
    wait_until("it is closed", async || call(&one, true).await).await;
    wait_until("the other knows too", async || call(&other, true).await).await;
    assert_eq!(state(&one).await, Some(BreakerState::Closed));
}

#[tokio::test]
async fn an_operator_opens_and_closes_with_a_reason() {
    let t = TestEngine::idle().await;
    let (one, other) = (process(&t, RULES), process(&t, RULES));
    let by = |reason: Option<&str>| Operator::new("ann", reason, false).expect("an operator");
    let refused = one.set_breaker("acme", BreakerMode::Open, &by(None)).await;
    assert_eq!(refused.map_err(|error| error.code()), Err("reason_required"));
    assert!(call(&other, true).await);
    one.set_breaker("acme", BreakerMode::Open, &by(Some("they told us"))).await.expect("set");
    let held = one.breaker("acme", "charge").admit().await.map(drop).expect_err("it is open");
    assert!(held.by_operator);
    wait_until("the other knows", async || !call(&other, true).await).await;
    one.set_breaker("acme", BreakerMode::Closed, &by(Some("they are back"))).await.expect("set");
    for _ in 0..50 {
        assert!(call(&one, false).await, "whatever fails");
    }
    let scopes = one.breakers().await.expect("reads");
    let scope = scopes.iter().find(|scope| scope.scope == "acme").expect("it is listed");
    assert_eq!((scope.mode, scope.actor.as_deref()), (BreakerMode::Closed, Some("ann")));
    let audited = t.count("audit WHERE action = 'set_breaker' AND actor = 'ann'").await;
    assert_eq!(audited, 3, "two that were done, and a refusal");
}

#[tokio::test]
async fn without_a_database_no_call_is_held_back() {
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a URL");
    let engine = Engine::new(pool, Registry::new()).with_breaker_rules(RULES);
    for _ in 0..100 {
        assert!(call(&engine, false).await);
    }
}
