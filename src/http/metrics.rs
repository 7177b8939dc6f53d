//! `/metrics`: what this process has counted, and what the database says at the moment.
//!
//! The database is asked at most every few seconds, by one scrape at a time, and never for more than two hundredths of the
//! time. When it does not answer, the process's own numbers come all the same, with `backstitch_database_up 0`; what only the
//! database knows is then left out, because an old number would pass for a true one.

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics::{counter, histogram};
use tokio::sync::Mutex;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{App, plugin::Gauge, problem::Problem};
use crate::{
    engine::{Error, Gauges, SinkLag},
    telemetry::Recorder,
};

/// The database has to answer within this time, on either side.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// An answer is good for this long at least …
const GOOD_FOR: Duration = Duration::from_secs(5);
/// … and for so many times as long as it took.
const GOOD_FOR_TIMES: u32 = 50;
/// Runs in limbo are looked for at most this often: that reads every run that has not ended.
const LIMBO_GOOD_FOR: Duration = Duration::from_secs(60);

/// What a scrape needs, shared by all of them.
#[derive(Clone, Debug)]
pub(super) struct Scraper {
    recorder: Recorder,
    cached: Arc<Mutex<Cached>>,
}

/// What the database said last, with how long that is good.
#[derive(Debug, Default)]
struct Cached {
    said: Option<(Said, Instant)>,
    /// None inside where it could not be looked for: a look that takes too long is not repeated at each scrape.
    limbo: Option<(Option<usize>, Instant)>,
}

/// None where it did not answer.
type Said = Option<(Gauges, Vec<Gauge>)>;

impl Scraper {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, cached: Arc::default() }
    }
}

/// The route.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// What has this process done, and how do things stand?
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "In Prometheus' text format.", body = String, content_type = "text/plain"),
        (status = 404, description = "This process records no metrics."),
    )
)]
async fn scrape(State(app): State<App>) -> Response {
    let Some(scraper) = &app.scraper else {
        return Problem::new("unknown_route", "this process records no metrics").into_response();
    };
    let mut text = scraper.recorder.render();
    show_process(&app, &mut text);
    show_database(&app, scraper, &mut text).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn show_process(app: &App, text: &mut String) {
    let pool = app.engine.pool();
    let idle = pool.num_idle();
    let in_use = (pool.size() as usize).saturating_sub(idle);
    gauge(text, "db_pool_in_use", "Connections of the pool in use", &[("", in_use as f64)]);
    gauge(text, "db_pool_idle", "Connections of the pool that nobody uses", &[("", idle as f64)]);
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    gauge(text, "build_info", "1, with the version of this process", &[(version, 1.0)]);
}

async fn show_database(app: &App, scraper: &Scraper, text: &mut String) {
    // Held while asking, so that scrapes that come together ask one time.
    let mut cached = scraper.cached.lock().await;
    let said = match cached.said.take() {
        Some((said, until)) if Instant::now() < until => (said, until),
        _ => ask(app).await,
    };
    let (said, _) = cached.said.insert(said);
    gauge(text, "database_up", "1 if the database answers, else 0", &[("", f64::from(u8::from(said.is_some())))]);
    let Some((gauges, own)) = said.clone() else { return };
    let by_status: Vec<_> =
        gauges.runs.iter().map(|runs| (format!("status=\"{}\"", runs.status), runs.count as f64)).collect();
    let by_status: Vec<_> = by_status.iter().map(|(label, count)| (label.as_str(), *count)).collect();
    gauge(text, "runs", "Runs that have not ended, by status, each counted up to 10,000", &by_status);
    let oldest = gauges.oldest_due_seconds;
    gauge(text, "oldest_due_seconds", "How long the oldest due run has been waiting for a worker", &[("", oldest)]);
    let attention = gauges.attention_runs as f64;
    gauge(text, "attention_runs", "Runs that an operator should look at", &[("", attention)]);
    gauge(text, "holds", "Workflows, activities and queues that are held back", &[("", gauges.holds as f64)]);
    let open = gauges.operations_open as f64;
    gauge(text, "operations_open", "Bulk operations that have not ended", &[("", open)]);
    let parked = gauges.events_parked as f64;
    gauge(text, "received_events_parked", "Events from outside that wait for an operator", &[("", parked)]);
    gauge(text, "workers_alive", "Workers heard of in the last half minute", &[("", gauges.workers_alive as f64)]);
    show_outbox(text, &gauges.outbox);
    for Gauge { name, help, values } in own {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (label, value) in values {
            let label = if label.is_empty() { label } else { format!("{{{label}}}") };
            let _ = writeln!(text, "{name}{label} {value}");
        }
    }
    if let Some(limbo) = limbo(app, &mut cached).await {
        gauge(text, "limbo_runs", "Runs that nothing will ever move, counted up to 100: a bug", &[("", limbo as f64)]);
    }
}

fn show_outbox(text: &mut String, sinks: &[SinkLag]) {
    let labels: Vec<String> = sinks.iter().map(|lag| format!("sink=\"{}\"", lag.sink)).collect();
    let each = |value: fn(&SinkLag) -> f64| -> Vec<(&str, f64)> {
        labels.iter().map(String::as_str).zip(sinks.iter().map(value)).collect()
    };
    let help = "Events that a sink has not got yet; for feed, those that have no number yet";
    gauge(text, "outbox_lag_rows", help, &each(|lag| lag.rows as f64));
    gauge(text, "outbox_lag_seconds", "How old the oldest of them is", &each(|lag| lag.seconds));
}

/// Asks, and says until when the answer is good.
async fn ask(app: &App) -> (Said, Instant) {
    let began = Instant::now();
    let asking = async {
        let gauges = app.engine.gauges(ANSWER_WITHIN).await?;
        let mut own = Vec::new();
        for plugin in app.plugins.iter() {
            own.extend(plugin.gauges().await?);
        }
        Ok::<_, Error>((gauges, own))
    };
    let said = match tokio::time::timeout(ANSWER_WITHIN, asking).await {
        Ok(Ok(said)) => Some(said),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database's numbers can't be read");
            None
        }
        Err(_) => {
            tracing::warn!("the database's numbers did not come within 2 s");
            None
        }
    };
    (said, Instant::now() + GOOD_FOR.max(began.elapsed() * GOOD_FOR_TIMES))
}

async fn limbo(app: &App, cached: &mut Cached) -> Option<usize> {
    if let Some((count, until)) = cached.limbo
        && Instant::now() < until
    {
        return count;
    }
    let began = Instant::now();
    let looked = tokio::time::timeout(ANSWER_WITHIN, app.engine.limbo()).await;
    let until = Instant::now() + LIMBO_GOOD_FOR.max(began.elapsed() * GOOD_FOR_TIMES);
    let count = looked.ok().and_then(Result::ok).map(|limbo| limbo.len());
    cached.limbo = Some((count, until));
    count
}

/// One gauge, as text.
fn gauge(text: &mut String, name: &str, help: &str, values: &[(&str, f64)]) {
    let _ = writeln!(text, "# HELP backstitch_{name} {help}\n# TYPE backstitch_{name} gauge");
    for (labels, value) in values {
        let _ = match *labels {
            "" => writeln!(text, "backstitch_{name} {value}"),
            labels => writeln!(text, "backstitch_{name}{{{labels}}} {value}"),
        };
    }
}

/// Counts a request. The route is the pattern, not the path, and methods are those that routes know: both are bounded.
pub(super) fn answered(route: &str, method: &Method, status: StatusCode, took: Duration) {
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
    .to_owned();
    let route = route.to_owned();
    let status = status.as_u16().to_string();
    histogram!("backstitch_http_request_duration_seconds", "route" => route.clone(), "method" => method.clone())
        .record(took);
    counter!("backstitch_http_requests_total", "route" => route, "method" => method, "status" => status).increment(1);
}
