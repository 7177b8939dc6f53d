//! Events that leave: emitted in the transaction that changes what they tell of, delivered in order, at least once.
//!
//! [`Engine::emit_in`](crate::engine::Engine::emit_in), or [`ActivityContext::emit`](crate::engine::ActivityContext::emit) in a
//! transactional activity, writes events; they go if the transaction does. They get their numbers after their commit: a reader
//! who goes by them skips no late commit and waits for no open transaction. [`Engine::events`](crate::engine::Engine::events)
//! reads them, and each [`Sink`] of [`Engine::with_sink`](crate::engine::Engine::with_sink) gets them, from one process at a time.
//!
//! Events of one subject keep their order if who emits them holds a lock on what the subject names.

use std::{borrow::Cow, fmt, future::Future, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

pub use super::read_models::{Event, EventFilter, SinkLag, SinkState};
use super::{
    check::check_json,
    core::model::{Json, to_json},
    error::Error,
    names::check_name,
};

/// The largest data of an event, in bytes.
pub const LARGEST_EVENT: usize = 256 * 1024;

/// The longest subject, type or name of a schema, in bytes.
pub const LONGEST_SUBJECT: usize = 256;

/// Events that one call emits at most.
pub const EMITTED_AT_MOST: usize = 1_000;

/// How long events are kept unless set otherwise.
pub const DEFAULT_EVENT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Events that a sink gets at a time.
pub const DELIVERED_AT_MOST: i64 = 100;

/// A delivery that takes longer has failed.
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(10);

/// An event that is to be emitted.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, by which a receiver knows it again: a new UUIDv7.
    pub id: Uuid,
    /// What has happened, such as `order.placed`.
    pub event_type: Cow<'static, str>,
    /// What it has happened to.
    pub subject: String,
    /// The URI of the schema of its data, with a version.
    pub dataschema: Cow<'static, str>,
    /// What there is to say of it.
    pub data: Json,
}

impl NewEvent {
    /// An event with a new id.
    ///
    /// # Errors
    /// `invalid_request`: `data` has no JSON form.
    pub fn new<T: Serialize + ?Sized>(
        event_type: impl Into<Cow<'static, str>>,
        subject: impl Into<String>,
        dataschema: impl Into<Cow<'static, str>>,
        data: &T,
    ) -> Result<Self, Error> {
        let data =
            to_json(data).map_err(|error| Error::InvalidRequest(format!("the event has no JSON form: {error}")))?;
        Ok(Self {
            id: Uuid::now_v7(),
            event_type: event_type.into(),
            subject: subject.into(),
            dataschema: dataschema.into(),
            data,
        })
    }
}

/// What may be emitted at once.
pub(crate) fn check_events(events: &[NewEvent]) -> Result<(), Error> {
    if events.len() > EMITTED_AT_MOST {
        return Err(Error::InvalidRequest(format!("{} events at once; the limit is {EMITTED_AT_MOST}", events.len())));
    }
    for event in events {
        check_name("type", Some(&event.event_type), LONGEST_SUBJECT)?;
        check_name("subject", Some(&event.subject), LONGEST_SUBJECT)?;
        check_name("dataschema", Some(&event.dataschema), LONGEST_SUBJECT)?;
        check_json("data", event.data.get())?;
        if event.data.get().len() > LARGEST_EVENT {
            return Err(Error::PayloadTooLarge { size: event.data.get().len(), limit: LARGEST_EVENT });
        }
    }
    Ok(())
}

/// Where a sink begins that has never been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest event that is kept.
    Oldest,
    /// With what comes from now on.
    Newest,
}

/// Where events go.
pub trait Sink: Send + Sync + 'static {
    /// Its name, under which its progress is kept: unique, and the same in all processes.
    fn name(&self) -> &str;

    /// Where it begins when it is new.
    fn start(&self) -> Start {
        Start::Oldest
    }

    /// Delivers events, in order. Cut off, or without its progress on record, it gets the same ones again. It has
    /// [`DELIVERED_WITHIN`].
    fn deliver(&self, events: &[Event]) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// A sink whose delivery is a write in the engine's own database: it commits together with its progress, so that each event is
/// delivered once.
pub trait LocalSink: Send + Sync + 'static {
    /// As [`Sink::name`].
    fn name(&self) -> &str;

    /// As [`Sink::start`].
    fn start(&self) -> Start {
        Start::Newest
    }

    /// Delivers events, in order, in this transaction. All of them, or none.
    fn deliver(&self, tx: &mut PgConnection, events: &[Event]) -> impl Future<Output = Result<(), SinkError>> + Send;
}

/// A delivery that failed. It is tried again, after growing pauses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What is wrong, for operators; never secrets.
    pub message: String,
    /// How many events were delivered before; they don't come again.
    pub delivered: usize,
    /// Nothing is wrong: there was no time for more.
    pub unfinished: bool,
}

impl SinkError {
    /// Nothing was delivered for certain.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), delivered: 0, unfinished: false }
    }

    /// The first so many were delivered, and there was no time for more: they come at once, and the sink is not taken to be down.
    pub fn unfinished(delivered: usize) -> Self {
        Self { unfinished: delivered > 0, ..Self::new("it takes too long for one delivery").after(delivered) }
    }

    /// The first so many were.
    pub const fn after(mut self, delivered: usize) -> Self {
        self.delivered = delivered;
        self
    }
}

impl From<sqlx::Error> for SinkError {
    fn from(error: sqlx::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<Error> for SinkError {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

/// A sink without its type.
#[derive(Clone)]
pub(crate) struct AnySink {
    pub(crate) name: Arc<str>,
    pub(crate) start: Start,
    pub(crate) code: SinkCode,
}

/// How it delivers.
#[derive(Clone)]
pub(crate) enum SinkCode {
    Outside(Arc<dyn DeliversOutside>),
    Local(Arc<dyn DeliversLocally>),
}

pub(crate) trait DeliversOutside: Send + Sync {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), SinkError>>;
}

pub(crate) trait DeliversLocally: Send + Sync {
    fn deliver<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Event]) -> BoxFuture<'a, Result<(), SinkError>>;
}

struct Outside<S>(S);

struct Local<S>(S);

impl<S: Sink> DeliversOutside for Outside<S> {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.deliver(events).boxed()
    }
}

impl<S: LocalSink> DeliversLocally for Local<S> {
    fn deliver<'a>(&'a self, tx: &'a mut PgConnection, events: &'a [Event]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.deliver(tx, events).boxed()
    }
}

impl AnySink {
    pub(crate) fn outside(sink: impl Sink) -> Self {
        Self { name: sink.name().into(), start: sink.start(), code: SinkCode::Outside(Arc::new(Outside(sink))) }
    }

    pub(crate) fn local(sink: impl LocalSink) -> Self {
        Self { name: sink.name().into(), start: sink.start(), code: SinkCode::Local(Arc::new(Local(sink))) }
    }
}

impl fmt::Debug for AnySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnySink").field("name", &self.name).finish_non_exhaustive()
    }
}
