//! The recorder behind `/metrics`: one per process, installed by the commands that serve or work. `bench` has none.

use std::{sync::OnceLock, time::Duration};

use metrics::{Unit, describe_counter, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::engine::{HISTOGRAMS, SECONDS};

/// How often recorded values are put into their buckets; until then every single value is kept.
const SORT_EVERY: Duration = Duration::from_secs(2);

/// Of the API's requests.
const REQUESTS: &str = "backstitch_http_request_duration_seconds";

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
    let bounds = HISTOGRAMS.iter().copied().chain([(REQUESTS, SECONDS)]);
    let handle = bounds
        .into_iter()
        .try_fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(RecorderError)?;
    describe_counter!("backstitch_http_requests_total", "Requests answered, by route, method and status");
    describe_histogram!(REQUESTS, Unit::Seconds, "How long requests took");
    let sorted = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SORT_EVERY).await;
            sorted.run_upkeep();
        }
    });
    Ok(RECORDER.get_or_init(|| Recorder(handle)).clone())
}
