//! Where a server sends the events that leave: Kafka topics, a signed webhook, its own output.
//!
//! The engine's relay calls them, from one process at a time, and again after growing pauses while they fail: up to a minute, so
//! that what is down gets one event a minute, and then everything in order. That is a circuit breaker whose state is the sink's
//! row, which all processes share: no other stands before a sink. Nothing is passed over by itself, not even what is refused for
//! good (413, 422): an operator skips it ([`Engine::skip_event`](crate::engine::Engine::skip_event)).

#[cfg(feature = "kafka")]
mod kafka;
mod stdout;
mod webhook;

#[cfg(feature = "kafka")]
pub use self::kafka::{KafkaSink, Topics};
pub use self::{
    stdout::Stdout,
    webhook::{BadWebhook, WebhookSink},
};

/// The media type of an event in the JSON format of CloudEvents.
const CLOUD_EVENT: &str = "application/cloudevents+json";
