//! Where a server sends the events that leave: Kafka topics, a signed webhook, its own output.
//!
//! The engine's relay calls them, from one process at a time, and again after growing pauses while they fail: up to a minute, so
//! that what is down gets one request a minute, and then everything in order.

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
