//! Attempts as spans, to an OpenTelemetry collector (feature `otlp`): a run is one trace, each attempt, verification
//! and undo a span under the caller's. While a run is parked, there is no span.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is the collector's address (HTTP with protobuf); the SDK's other variables (headers,
//! timeout, `OTEL_SERVICE_NAME`) are honoured. Work never waits for a collector: if the queue is full, spans are
//! dropped and counted.

use std::{
    env,
    sync::Arc,
    time::{Duration, SystemTime},
};

use metrics::counter;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    engine::{Observed, Observer},
    tls::install_crypto_provider,
};

/// Maximum number of spans waiting for export.
const QUEUED_AT_MOST: usize = 8_192;
/// Maximum number of spans per request.
const SENT_AT_ONCE: usize = 512;
/// How long spans are collected before a request.
const GATHER: Duration = Duration::from_millis(500);
/// How long shutdown waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Traces can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The collector's address is not an http or https address.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is {0:?}; it must be an http or https address")]
    Endpoint(String),
    /// The exporter refuses its settings.
    #[error("traces can't be exported")]
    Exporter(#[source] ExporterBuildError),
}

/// The connection to the collector.
#[derive(Debug)]
pub struct Traces {
    sink: Arc<Sink>,
    sending: JoinHandle<()>,
}

impl Traces {
    /// From the environment; none if it names no collector. Must be called inside a runtime.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub fn from_environment() -> Result<Option<Self>, TracesError> {
        let endpoint = env::var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
        if endpoint.is_empty() { Ok(None) } else { Self::to(&endpoint).map(Some) }
    }

    /// To `/v1/traces` of a collector at this address. Must be called inside a runtime.
    ///
    /// # Errors
    /// When the address, or a setting in the environment, can't be used.
    pub fn to(endpoint: &str) -> Result<Self, TracesError> {
        let endpoint = endpoint.trim_end_matches('/');
        if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
            return Err(TracesError::Endpoint(endpoint.to_owned()));
        }
        install_crypto_provider();
        let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces"));
        let mut exporter = exporter.build().map_err(TracesError::Exporter)?;
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("backstitch");
        }
        exporter.set_resource(&resource.build());
        let (spans, queue) = mpsc::channel(QUEUED_AT_MOST);
        let scope = InstrumentationScope::builder("backstitch").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { sink: Arc::new(Sink { spans, scope }), sending: tokio::spawn(send(exporter, queue)) })
    }

    /// The observer to register with the worker.
    pub fn observer(&self) -> Arc<dyn Observer> {
        self.sink.clone()
    }

    /// Sends the remaining spans, after the last observer is dropped.
    pub async fn finish(self) {
        drop(self.sink);
        if tokio::time::timeout(LAST_WORDS, self.sending).await.is_err() {
            tracing::warn!("the collector did not accept the last spans in time");
        }
    }
}

async fn send(exporter: SpanExporter, mut queue: mpsc::Receiver<SpanData>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, SENT_AT_ONCE).await > 0 {
        // Wait a little for more spans, unless the queue is closed.
        if batch.len() < SENT_AT_ONCE && !queue.is_closed() {
            tokio::time::sleep(GATHER).await;
            while batch.len() < SENT_AT_ONCE
                && let Ok(span) = queue.try_recv()
            {
                batch.push(span);
            }
        }
        let count = batch.len() as u64;
        match exporter.export(std::mem::take(&mut batch)).await {
            Ok(()) => counter!("backstitch_spans_exported_total").increment(count),
            Err(error) => {
                counter!("backstitch_spans_dropped_total").increment(count);
                tracing::warn!(%error, count, "the collector did not accept spans");
            }
        }
    }
}

#[derive(Debug)]
struct Sink {
    spans: mpsc::Sender<SpanData>,
    scope: InstrumentationScope,
}

impl Observer for Sink {
    fn attempted(&self, attempt: &Observed<'_>) {
        let flags = TraceFlags::new(attempt.trace.flags);
        if flags.is_sampled() && self.spans.try_send(span(attempt, flags, &self.scope)).is_err() {
            counter!("backstitch_spans_dropped_total").increment(1);
        }
    }
}

fn span(attempt: &Observed<'_>, flags: TraceFlags, scope: &InstrumentationScope) -> SpanData {
    let id = |id: u64| SpanId::from_bytes(id.to_be_bytes());
    let trace = TraceId::from_bytes(attempt.trace.id.to_be_bytes());
    let what = if attempt.verifies { "verify" } else { attempt.direction.word() };
    let ended: SystemTime = attempt.ended_at.into();
    let mut attributes = vec![
        KeyValue::new("backstitch.run_id", attempt.run.to_string()),
        KeyValue::new("backstitch.workflow", attempt.workflow.to_owned()),
        KeyValue::new("backstitch.step", i64::from(attempt.seq)),
        KeyValue::new("backstitch.activity", attempt.activity.to_owned()),
        KeyValue::new("backstitch.attempt", i64::from(attempt.attempt)),
        KeyValue::new("backstitch.direction", attempt.direction.word()),
        KeyValue::new("backstitch.verification", attempt.verifies),
        KeyValue::new("backstitch.outcome", attempt.outcome.to_owned()),
    ];
    attributes.extend(attempt.code.map(|code| KeyValue::new("error.type", code.to_owned())));
    SpanData {
        span_context: SpanContext::new(trace, id(attempt.span), flags, false, TraceState::default()),
        parent_span_id: attempt.trace.parent.map_or(SpanId::INVALID, id),
        parent_span_is_remote: attempt.trace.parent.is_some(),
        span_kind: SpanKind::Internal,
        name: format!("{what} {}", attempt.activity).into(),
        start_time: ended - attempt.took,
        end_time: ended,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: attempt.code.map_or(Status::Unset, |code| Status::error(code.to_owned())),
        instrumentation_scope: scope.clone(),
    }
}
