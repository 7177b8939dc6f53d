//! Events: [`crate::engine::outbox`] says how they work.

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;

use crate::engine::{
    api::engine::Engine,
    error::Error,
    names::check_name,
    outbox::LONGEST_SUBJECT,
    outbox::{AnySink, LocalSink, NewEvent, Sink, check_events},
    read_models::{Event, EventFilter, SinkLag, SinkState, Slice, check_limit},
    store::outbox,
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
