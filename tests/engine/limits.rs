//! Rate limits in the library: what they cost, and what they do without a database.

use std::time::{Duration, Instant};

use backstitch::engine::{Engine, Registry};

use crate::support::{engine::*, wait_until};

#[tokio::test]
async fn who_asks_now_and_then_writes_nothing() {
    let t = TestEngine::idle().await;
    let limiter = t.engine.limiter("tenant", "5/s".parse().expect("a rate"));
    for tenant in 0..200 {
        assert_eq!(limiter.take(&format!("t{tenant}")).await.refused_for, None);
    }
    assert_eq!(t.count("rate_bucket").await, 0);
}

#[tokio::test]
async fn a_full_bucket_is_forgotten() {
    let t = TestEngine::new().await;
    let limiter = t.engine.limiter("tenant", "1000/h".parse().expect("a rate"));
    for _ in 0..300 {
        assert_eq!(limiter.take("t").await.refused_for, None);
    }
    assert_eq!(t.count("rate_bucket").await, 1, "it has drawn");
    t.execute("UPDATE backstitch.rate_bucket SET full_at = now() - interval '2 minutes'").await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let maintenance = t.engine.maintenance(Default::default());
    let runs = tokio::spawn(maintenance.run(async { drop(stopped.await) }));
    wait_until("the bucket is forgotten", async || t.count("rate_bucket").await == 0).await;
    drop(stop);
    runs.await.expect("it ends");
    t.finish().await;
}

#[tokio::test]
async fn without_a_database_nobody_is_refused() {
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy("postgres://nobody@127.0.0.1:1/none").expect("a URL");
    let limiter = Engine::new(pool, Registry::new()).limiter("tenant", "4/h".parse().expect("a rate"));
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(limiter.take("t").await.refused_for, None);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "they wait for it one after the other");
}
