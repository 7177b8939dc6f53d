//! The recorder behind `/metrics`: one per process, installed by the commands that serve or work. `bench` has none.

use std::{sync::OnceLock, time::Duration};

use metrics::{Unit, describe_counter, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// How often recorded values are put into their buckets; until then every single value is kept.
const SORT_EVERY: Duration = Duration::from_secs(2);

/// Durations in seconds, from an in-process step to far too long.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Numbers of rows and runs in one commit.
const BATCHES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

static RECORDER: OnceLock<Recorder> = OnceLock::new();

/// This process's recorder.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// All metrics, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recorder").finish()
    }
}

/// Another recorder was installed in this process before.
#[derive(Debug, thiserror::Error)]
#[error("metrics have been set up already")]
pub struct RecorderError(#[source] BuildError);

/// Installs the recorder, before the engine is created and inside a runtime. A second call returns the first one's
/// recorder.
///
/// # Errors
/// When another recorder is installed already.
pub fn record() -> Result<Recorder, RecorderError> {
    if let Some(recorder) = RECORDER.get() {
        return Ok(recorder.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Prefix("backstitch_flush_".to_owned()), &BATCHES))
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Full("backstitch_flush_seconds".to_owned()), &SECONDS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(RecorderError)?;
    describe_counter!("backstitch_http_requests_total", "Requests answered, by route, method and status");
    describe_histogram!("backstitch_http_request_duration_seconds", Unit::Seconds, "How long requests took");
    let sorted = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SORT_EVERY).await;
            sorted.run_upkeep();
        }
    });
    Ok(RECORDER.get_or_init(|| Recorder(handle)).clone())
}
