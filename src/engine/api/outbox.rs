//! Events: [`crate::engine::outbox`] says how they work.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{
    api::{
        audit::{Operator, Subject},
        engine::Engine,
    },
    error::Error,
    names::check_name,
    outbox::LONGEST_SUBJECT,
    outbox::{AnySink, LocalSink, NewEvent, Sink, check_events},
    read_models::{Event, EventFilter, SinkLag, SinkState, Slice, check_limit},
    store::{audit, outbox},
};

/// Pieces that one turn forgets at most.
const PIECES_IN_A_TURN: usize = 20;

impl Engine {
    /// With a sink: [`Engine::maintenance`] delivers to it.
    pub fn with_sink(mut self, sink: impl Sink) -> Self {
        Arc::make_mut(&mut self.sinks).push(AnySink::outside(sink));
        self
    }

    /// The same of a sink in the engine's own database.
    pub fn with_local_sink(mut self, sink: impl LocalSink) -> Self {
        Arc::make_mut(&mut self.sinks).push(AnySink::local(sink));
        self
    }

    /// How long events are kept, once every sink has got them.
    pub const fn with_event_retention(mut self, keep: Duration) -> Self {
        self.event_retention = keep;
        self
    }

    /// Emits events in the caller's transaction, in their order.
    ///
    /// # Errors
    /// `invalid_request`, `payload_too_large`; when the database fails.
    pub async fn emit_in(&self, conn: &mut PgConnection, events: &[NewEvent]) -> Result<(), Error> {
        check_events(events)?;
        outbox::emit(self.schema(), conn, events).await
    }

    /// Events behind a number, oldest first: the feed that every reader may follow at its own pace. With a filter, a slice may be
    /// empty and still not be the last.
    ///
    /// # Errors
    /// `invalid_request`: a parameter is out of its range. When the database can't be reached.
    pub async fn events(&self, filter: &EventFilter) -> Result<Slice<Event>, Error> {
        let limit = check_limit(filter.limit)? as i64;
        let after = filter.after.unwrap_or_default();
        if after < 0 {
            return Err(Error::InvalidRequest(format!("after is {after}; numbers begin with 1")));
        }
        for (what, text) in [("type", &filter.event_type), ("subject", &filter.subject)] {
            check_name(what, text.as_deref(), LONGEST_SUBJECT)?;
        }
        let which = (filter.event_type.as_deref(), filter.subject.as_deref());
        let mut conn = self.acquire().await?;
        let (items, next) = outbox::read_after(self.schema(), &mut conn, after, which, limit).await?;
        Ok(Slice { items, next_cursor: next.map(|next| next.to_string()) })
    }

    /// The number of the newest event; 0 without any.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn newest_event(&self) -> Result<i64, Error> {
        outbox::newest(self.schema(), &mut *self.acquire().await?).await
    }

    /// All sinks that were ever delivered to, and how far each has got.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn sinks(&self) -> Result<Vec<SinkState>, Error> {
        outbox::list_sinks(self.schema(), &mut *self.acquire().await?).await
    }

    /// What each sink lacks.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn outbox_lag(&self) -> Result<Vec<SinkLag>, Error> {
        outbox::lag(self.schema(), &mut *self.acquire().await?).await
    }

    /// Has a sink pass over the event that it would get next, which holds up all behind it: one that it will never take. The sink
    /// gives that number's event again only if somebody delivers it just now.
    ///
    /// # Errors
    /// `reason_required`, `unknown_sink`; `wrong_state` where another event is its next.
    pub async fn skip_event(&self, sink: &str, sequence: i64, by: &Operator) -> Result<SinkState, Error> {
        let subject = format!("sink {sink}");
        let skipped = self.try_skip(sink, sequence, by, &subject).await;
        self.audited("skip_event", Subject::Named(&subject), by, skipped).await
    }

    async fn try_skip(&self, sink: &str, sequence: i64, by: &Operator, subject: &str) -> Result<SinkState, Error> {
        check_name("sink", Some(sink), LONGEST_SUBJECT)?;
        by.check_reason(true, "skip_event")?;
        let schema = self.schema();
        let mut tx = self.begin().await?;
        let unknown = || Error::UnknownSink(sink.to_owned());
        let before = outbox::find_sink(schema, &mut tx, sink).await?.ok_or_else(unknown)?.sequence;
        let next = outbox::read_after(schema, &mut tx, before, (None, None), 1).await?.0.into_iter().next();
        let is_next = |event: &Event| event.sequence == sequence;
        let other = |next: Option<&Event>| {
            let next = next.map_or_else(|| "nothing".to_owned(), |event| format!("event {}", event.sequence));
            Error::WrongState(format!("the next that {sink} gets is {next}, not event {sequence}"))
        };
        let event = next.as_ref().filter(|event| is_next(event)).ok_or_else(|| other(next.as_ref()))?;
        let moved = outbox::skip(schema, &mut tx, sink, (before, sequence), Uuid::new_v4()).await?;
        let state = moved.ok_or_else(|| Error::WrongState(format!("{sink} is no longer at event {before}")))?;
        let after = json!({"sequence": sequence, "event": event.id, "type": event.event_type});
        let before = Some(json!({"sequence": before}));
        let entry =
            audit::Entry { action: "skip_event", run: None, subject: Some(subject), before, after: Some(after) };
        audit::record_done(schema, &mut tx, &entry, by.by()).await?;
        by.finish(tx).await?;
        Ok(state)
    }

    /// Forgets a sink that is no longer wanted: events are no longer kept for it. Should it come again, it is a new one. False: it
    /// is not known.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn forget_sink(&self, name: &str) -> Result<bool, Error> {
        outbox::forget_sink(self.schema(), &mut *self.acquire().await?, name).await.map_err(Error::of_write)
    }

    /// Numbers what has been committed. Gives how many events got a number, and whether there may be more. [`Engine::maintenance`] does it all the time.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn number_events(&self) -> Result<(i64, bool), Error> {
        let (count, more) = outbox::number_events(self.schema(), self.pool()).await?;
        if count > 0 {
            self.hints().numbered.notify_waiters();
        }
        Ok((count, more))
    }

    /// Forgets events that have been kept long enough, a bounded number; whether there may be more.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn forget_events(&self) -> Result<bool, Error> {
        for _ in 0..PIECES_IN_A_TURN {
            let mut tx = self.begin().await?;
            let gone = outbox::forget(self.schema(), &mut tx, self.event_retention.as_secs_f64()).await?;
            tx.commit().await?;
            if !gone {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until this process has numbered events, or for so long.
    pub async fn wait_for_events(&self, at_most: Duration) {
        // Elapsed is no error: others number, too.
        let _ = tokio::time::timeout(at_most, self.hints().numbered.notified()).await;
    }
}
