//! Measures lists and run pages with a million runs: fills a database and prints a table.
//!
//! `cargo run --release --example million` uses a temporary embedded Postgres; with `-- URL`, a given database, which
//! must be empty or filled by an earlier call, and is kept. Each line is the median of twenty calls through the
//! library, without HTTP, after three calls to warm the caches.

use std::time::{Duration, Instant};

use anyhow::Context;
use backstitch::{
    embedded::Embedded,
    engine::{ActionOutcome, AttentionFilter, AttentionKind, AuditFilter, Engine, Registry, RunFilter, RunStatus},
};
use sqlx::{PgPool, postgres::PgPoolOptions};

const TIMES: usize = 20;
const WARM_UP: usize = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let given = std::env::args().nth(1);
    let embedded = match &given {
        Some(_) => None,
        None => Some(Embedded::temporary().await?),
    };
    let url = given.or_else(|| embedded.as_ref().map(|embedded| embedded.url().to_owned())).unwrap_or_default();
    let pool = PgPoolOptions::new().max_connections(2).connect(&url).await.context("the database can't be reached")?;
    let measured = measure(&pool).await;
    pool.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    measured
}

async fn measure(pool: &PgPool) -> anyhow::Result<()> {
    let engine = Engine::new(pool.clone(), Registry::new());
    engine.migrate().await?;
    let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM backstitch.run").fetch_one(pool).await?;
    if runs == 0 {
        eprintln!("filling: a few minutes");
        sqlx::raw_sql(include_str!("fill.sql")).execute(pool).await.context("filling")?;
        // As autovacuum would; not in the same transaction.
        sqlx::raw_sql("VACUUM ANALYZE").execute(pool).await.context("vacuum")?;
    }
    println!("{:<58} {:>6} {:>9} {:>9}", "what", "items", "median", "slowest");
    for (what, filter) in lists(&engine).await? {
        let ask = async || Ok(engine.list(&filter).await?.items.len());
        line(&what, ask).await?;
    }
    let newest = engine.list(&filter(|_| {})).await?.items;
    let run = newest.first().context("there are runs")?.id;
    line("one run with its steps", async || Ok(engine.run(run).await?.steps.map_or(0, |steps| steps.len()))).await?;
    line("why", async || Ok(engine.why(run).await?.sentences.len())).await?;
    let (all, one) =
        (AttentionFilter::default(), AttentionFilter { kind: Some(AttentionKind::Stuck), ..Default::default() });
    line("attention", async || Ok(engine.attention(&all).await?.items.len())).await?;
    line("attention kind=stuck", async || Ok(engine.attention(&one).await?.items.len())).await?;
    line("counts by status", async || Ok(engine.counts().await?.len())).await?;
    line("queues", async || Ok(engine.queues().await?.items.len())).await?;
    line("workers", async || Ok(engine.workers().await?.items.len())).await?;
    line("workflows", async || Ok(engine.workflows().await?.items.len())).await?;
    for (what, filter) in audits(run) {
        line(what, async || Ok(engine.audit(&filter).await?.items.len())).await?;
    }
    Ok(())
}

fn filter(change: impl FnOnce(&mut RunFilter)) -> RunFilter {
    let mut filter = RunFilter::default();
    change(&mut filter);
    filter
}

/// Every filter by itself, and common combinations.
async fn lists(engine: &Engine) -> anyhow::Result<Vec<(String, RunFilter)>> {
    let text = |value: &str| Some(value.to_owned());
    let now = engine.now().await?;
    let days = chrono::TimeDelta::days;
    let stuck = AttentionFilter { kind: Some(AttentionKind::Stuck), ..AttentionFilter::default() };
    let fingerprint = engine.attention(&stuck).await?.items.first().and_then(|group| group.fingerprint.clone());
    let mut all = vec![("all".to_owned(), filter(|_| {}))];
    for status in RunStatus::ALL.iter().copied() {
        all.push((format!("status={status}"), filter(|f| f.status = Some(status))));
    }
    let mut add = |what: &str, filter: RunFilter| all.push((what.to_owned(), filter));
    add("workflow=order (nearly all)", filter(|f| f.workflow = text("order")));
    add("workflow=refund (5,000)", filter(|f| f.workflow = text("refund")));
    add("workflow=yearly (40)", filter(|f| f.workflow = text("yearly")));
    add(
        "workflow=yearly status=completed",
        filter(|f| (f.workflow, f.status) = (text("yearly"), Some(RunStatus::Completed))),
    );
    add(
        "workflow=yearly status=waiting (none)",
        filter(|f| (f.workflow, f.status) = (text("yearly"), Some(RunStatus::Waiting))),
    );
    add("key=k-500000", filter(|f| f.key = text("k-500000")));
    add("tag=order:o-500001 (one)", filter(|f| f.tag = text("order:o-500001")));
    add("tag=region:r3 (a tenth)", filter(|f| f.tag = text("region:r3")));
    add("tag=region (nearly all)", filter(|f| f.tag = text("region")));
    add("tag=nothing", filter(|f| f.tag = text("nothing")));
    add("tag=region:r3 status=stuck", filter(|f| (f.tag, f.status) = (text("region:r3"), Some(RunStatus::Stuck))));
    add("error=declined (18,000)", filter(|f| f.error = text("declined")));
    add("error=nothing", filter(|f| f.error = text("nothing")));
    add(
        "error=out_of_stock status=compensated",
        filter(|f| (f.error, f.status) = (text("out_of_stock"), Some(RunStatus::Compensated))),
    );
    add("step=charge", filter(|f| f.step = text("charge")));
    add("fingerprint", filter(|f| f.fingerprint = fingerprint));
    add("attention", filter(|f| f.attention = true));
    add("attention status=waiting", filter(|f| (f.attention, f.status) = (true, Some(RunStatus::Waiting))));
    add("since a day ago", filter(|f| f.since = Some(now - days(1))));
    add("until 20 days ago", filter(|f| f.until = Some(now - days(20))));
    add(
        "a day, 20 days ago, status=failed",
        filter(|f| {
            (f.since, f.until, f.status) = (Some(now - days(21)), Some(now - days(20)), Some(RunStatus::Failed));
        }),
    );
    // A cursor in the middle.
    let middle = engine.list(&filter(|f| f.key = text("k-500000"))).await?.items.first().map(|run| run.id.to_string());
    for (what, status) in
        [("all, from the middle on", None), ("status=waiting, from the middle on", Some(RunStatus::Waiting))]
    {
        add(what, filter(|f| (f.cursor, f.status) = (middle.clone(), status)));
    }
    Ok(all)
}

fn audits(run: backstitch::engine::RunId) -> [(&'static str, AuditFilter); 4] {
    let all = AuditFilter::default();
    [
        ("audit", all.clone()),
        ("audit actor=ben (one in 600)", AuditFilter { actor: Some("ben".into()), ..all.clone() }),
        ("audit outcome=refused", AuditFilter { outcome: Some(ActionOutcome::Refused), ..all.clone() }),
        ("audit of a run", AuditFilter { run_id: Some(run), ..all }),
    ]
}

async fn line(what: &str, mut ask: impl AsyncFnMut() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let mut items = 0;
    for _ in 0..WARM_UP {
        items = ask().await?;
    }
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        ask().await?;
        took.push(began.elapsed());
    }
    took.sort();
    let ms = |took: Duration| format!("{:.1} ms", took.as_secs_f64() * 1e3);
    println!("{what:<58} {items:>6} {:>9} {:>9}", ms(took[TIMES / 2]), ms(took[TIMES - 1]));
    Ok(())
}
