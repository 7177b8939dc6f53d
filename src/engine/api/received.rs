//! Events from outside: each counts once by its source and id, and starts or signals a run in the commit that records it.
//!
//! What can't be done with an event, and may be once something was set right, is parked with its body: an operator retries or
//! discards it. Only a rule that names an internal workflow is refused outright.

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{
    api::{
        audit::{Operator, Subject},
        engine::Engine,
        start_request::{By, StartRun},
    },
    check::{check_json, check_label, check_text},
    core::{
        mapping::{Incoming, Mapped, Mapping, Target},
        model::RunId,
    },
    error::Error,
    read_models::{Receipt, ReceivedEvent, ReceivedFilter, ReceivedState, Slice, check_limit},
    store::{
        audit,
        received::{self, NewEvent, Parked},
        signals, start,
    },
    trouble::Trouble,
};

/// The longest id, type or version of an event.
const LONGEST_WORD: usize = 255;

/// A record of a topic's partition.
#[derive(Clone, Debug)]
pub struct TopicRecord {
    /// Its place in the partition.
    pub offset: i64,
    /// What it says: JSON, or whatever somebody wrote there. None: a record that was deleted, which is skipped.
    pub value: Option<Vec<u8>>,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicPart {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub part: i32,
}

/// Who sends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// A caller, who is told of a refusal.
    Caller,
    /// A topic: what is refused is parked.
    Topic,
}

/// The place after these records.
fn after(records: &[TopicRecord]) -> Option<i64> {
    records.last().map(|last| last.offset.saturating_add(1))
}

/// What came of an event, and of which run.
type Outcome = (ReceivedState, Option<RunId>);

impl Engine {
    /// Takes an event from outside: what its source's rules say is done in the commit that records it, once, however often
    /// it is sent.
    ///
    /// # Errors
    /// `internal_workflow` where a rule names one; `invalid_request` for an event that can't be kept; the database's. Other
    /// refusals are in the receipt: the event is parked.
    pub async fn receive(&self, mapping: &Mapping, event: &Incoming) -> Result<Receipt, Error> {
        let body = check_event(event)?;
        let mut tx = self.begin().await?;
        let receipt = match self.receive_in(&mut tx, mapping, event, &body, Sender::Caller).await {
            Err(error) if error.trouble() == Some(Trouble::Row) => {
                tx.rollback().await?;
                tx = self.begin().await?;
                self.park_in(&mut tx, mapping, event, &body, &error).await?
            }
            other => other?,
        };
        tx.commit().await?;
        self.hint();
        Ok(receipt)
    }

    /// Takes records of a topic that were read at `place`, up to where the partition was handled; that moves in the same commit.
    /// Gives it; nothing was done where it is no longer `place`, for another process was faster. All that can't be done is
    /// parked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn receive_from_topic(
        &self,
        mapping: &Mapping,
        from: &TopicPart,
        place: i64,
        records: &[TopicRecord],
    ) -> Result<i64, Error> {
        match self.receive_records(mapping, from, place, records, None).await {
            // One of them is at fault: each by itself.
            Err(error) if error.trouble() == Some(Trouble::Row) => {
                let mut at = place;
                for record in records.iter().map(std::slice::from_ref) {
                    let next = match self.receive_records(mapping, from, at, record, None).await {
                        Err(error) if error.trouble() == Some(Trouble::Row) => {
                            self.receive_records(mapping, from, at, record, Some(&error)).await?
                        }
                        other => other?,
                    };
                    if Some(next) != after(record) {
                        return Ok(next);
                    }
                    at = next;
                }
                Ok(at)
            }
            other => other,
        }
    }

    async fn receive_records(
        &self,
        mapping: &Mapping,
        TopicPart { topic, part }: &TopicPart,
        place: i64,
        records: &[TopicRecord],
        refused: Option<&Error>,
    ) -> Result<i64, Error> {
        let source = &mapping.source;
        let mut tx = self.begin().await?;
        let at = received::lock_position(self.schema(), &mut tx, source, topic, *part, place).await?;
        if at != place {
            return Ok(at);
        }
        for record in records {
            let Some(value) = &record.value else { continue };
            let id = format!("{topic}/{part}/{}", record.offset);
            self.receive_record(&mut tx, mapping, id, value, refused).await?;
        }
        let next = after(records).unwrap_or(at);
        received::move_position(self.schema(), &mut tx, source, topic, *part, next).await?;
        tx.commit().await?;
        self.hint();
        Ok(next)
    }

    /// Goes on at `next` in a partition whose broker does not have what stood at `seen`; not where another process has gone on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn move_in_topic(&self, mapping: &Mapping, from: &TopicPart, seen: i64, next: i64) -> Result<(), Error> {
        let TopicPart { topic, part } = from;
        let mut tx = self.begin().await?;
        let at = received::lock_position(self.schema(), &mut tx, &mapping.source, topic, *part, seen).await?;
        if at == seen {
            received::move_position(self.schema(), &mut tx, &mapping.source, topic, *part, next).await?;
        }
        tx.commit().await
    }

    /// One record of a topic, at its place. `refused`: what the database said of it before, for which it is parked.
    async fn receive_record(
        &self,
        conn: &mut PgConnection,
        mapping: &Mapping,
        place: String,
        value: &[u8],
        refused: Option<&Error>,
    ) -> Result<(), Error> {
        let body = String::from_utf8_lossy(value).replace('\0', "\u{fffd}");
        let event = match read_record(mapping, value) {
            Ok(event) => event,
            Err(lacks) => {
                let event = Incoming { id: place, kind: String::new(), version: String::new(), body: Value::Null };
                let error = Error::InvalidRequest(format!("the record is no event of this source: {lacks}"));
                self.park_in(conn, mapping, &event, &body, &error).await?;
                return Ok(());
            }
        };
        let receipt = match refused {
            Some(refused) => self.park_in(conn, mapping, &event, &body, refused).await,
            None => self.receive_in(conn, mapping, &event, &body, Sender::Topic).await,
        };
        receipt.map(|_| ())
    }

    /// The offset of the record of a partition that is to be handled next; 0 at first.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn topic_position(&self, mapping: &Mapping, from: &TopicPart) -> Result<i64, Error> {
        let TopicPart { topic, part } = from;
        let mut conn = self.acquire().await?;
        let next = received::position(self.schema(), &mut conn, &mapping.source, topic, *part).await?;
        Ok(next.unwrap_or(0))
    }

    async fn receive_in(
        &self,
        conn: &mut PgConnection,
        mapping: &Mapping,
        event: &Incoming,
        body: &str,
        sender: Sender,
    ) -> Result<Receipt, Error> {
        let id = Uuid::now_v7();
        let mapped = mapping.map(event);
        // What nearly always comes of it, so that the row is written once.
        let expected = match &mapped {
            Ok(Mapped::Start { .. }) => (ReceivedState::Started, Some(id)),
            Ok(Mapped::Signal { .. }) => (ReceivedState::Signalled, None),
            Ok(Mapped::Ignore) => (ReceivedState::Ignored, None),
            Err(_) => (ReceivedState::Parked, None),
        };
        if let Some(known) = self.record_received(conn, mapping, event, id, expected).await? {
            return Ok(known);
        }
        let done = match mapped {
            Ok(mapped) => self.carry_out(conn, mapping, event, mapped, id).await,
            Err(refused) => Err(refused.into()),
        };
        match done {
            Ok((state, run)) => {
                if (state, run) != expected {
                    received::set_outcome(self.schema(), conn, id, state, run, None).await?;
                }
                Ok(Receipt { duplicate: false, state, run_id: run })
            }
            Err(error @ Error::InternalWorkflow(_)) if sender == Sender::Caller => Err(error),
            Err(error) if error.of_database().is_some() => Err(error),
            Err(refused) => {
                self.park(conn, id, body, &refused).await?;
                Ok(Receipt { duplicate: false, state: ReceivedState::Parked, run_id: None })
            }
        }
    }

    /// Records an event as parked, for this reason.
    async fn park_in(
        &self,
        conn: &mut PgConnection,
        mapping: &Mapping,
        event: &Incoming,
        body: &str,
        refused: &Error,
    ) -> Result<Receipt, Error> {
        let id = Uuid::now_v7();
        let parked = (ReceivedState::Parked, None);
        // The same transaction may have recorded it already.
        if let Some(known) = self.record_received(conn, mapping, event, id, parked).await? {
            return Ok(known);
        }
        self.park(conn, id, body, refused).await?;
        Ok(Receipt { duplicate: false, state: ReceivedState::Parked, run_id: None })
    }

    async fn park(&self, conn: &mut PgConnection, id: RunId, body: &str, refused: &Error) -> Result<(), Error> {
        let message = refused.to_string().replace('\0', "\u{fffd}");
        let parked = Parked { code: refused.code(), message: &message, body };
        received::set_outcome(self.schema(), conn, id, ReceivedState::Parked, None, Some(parked)).await
    }

    /// Records an event; where it was received before, gives what came of it.
    async fn record_received(
        &self,
        conn: &mut PgConnection,
        mapping: &Mapping,
        event: &Incoming,
        id: RunId,
        (state, run): Outcome,
    ) -> Result<Option<Receipt>, Error> {
        let (source, event_id) = (mapping.source.as_str(), event.id.as_str());
        let row = NewEvent { id, source, event_id, kind: &event.kind, state, run };
        if received::record(self.schema(), conn, &row).await? {
            return Ok(None);
        }
        let known = received::find_outcome(self.schema(), conn, source, event_id).await?;
        let (state, run_id) = known.unwrap_or((state, run));
        Ok(Some(Receipt { duplicate: true, state, run_id }))
    }

    /// Does what the rules say. `id` is that of a run that is started.
    async fn carry_out(
        &self,
        conn: &mut PgConnection,
        mapping: &Mapping,
        event: &Incoming,
        mapped: Mapped,
        id: RunId,
    ) -> Result<Outcome, Error> {
        match mapped {
            Mapped::Ignore => Ok((ReceivedState::Ignored, None)),
            Mapped::Start { workflow, input, key } => {
                let request = StartRun { id: Some(id), ..StartRun::named(workflow, input).key(key) };
                let started = self.start_as(conn, request, By::Caller).await?;
                Ok((ReceivedState::Started, Some(started.run)))
            }
            Mapped::Signal { name, run, payload } => {
                let run = self.find_target(conn, run).await?;
                if let Some(workflow) = signals::closed_workflow(self.schema(), conn, run, &name).await? {
                    return Err(Error::InternalWorkflow(workflow));
                }
                let key = format!("{}:{}", mapping.source, event.id);
                self.signal_in(conn, run, &name, payload, Some(&key)).await?;
                Ok((ReceivedState::Signalled, Some(run)))
            }
        }
    }

    async fn find_target(&self, conn: &mut PgConnection, target: Target) -> Result<RunId, Error> {
        match target {
            Target::Id(run) => Ok(run),
            Target::Key { workflow, key } => {
                let owner = start::key_owner(self.schema(), conn, &workflow, &key).await?;
                owner.map(|(run, _)| run).ok_or(Error::UnknownRunKey { workflow, key })
            }
        }
    }

    /// Events from outside, the latest first, without their bodies.
    ///
    /// # Errors
    /// `bad_cursor`; `invalid_request` for a limit outside of 1 to 200.
    pub async fn received_events(&self, filter: &ReceivedFilter) -> Result<Slice<ReceivedEvent>, Error> {
        let limit = check_limit(filter.limit)?;
        filter.source.as_deref().map_or(Ok(()), |source| check_text("source", source, LONGEST_WORD))?;
        let before = filter.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor));
        let (before, page) = (before.transpose()?, (limit as i64).saturating_add(1));
        let mut conn = self.acquire().await?;
        let items = received::load_page(self.schema(), &mut conn, filter, before, page).await?;
        Ok(Slice::cut(items, limit, |event| event.id.to_string()))
    }

    /// One event, with its body where that is kept.
    ///
    /// # Errors
    /// `unknown_event`.
    pub async fn received_event(&self, id: RunId) -> Result<ReceivedEvent, Error> {
        let found = received::find(self.schema(), &mut *self.acquire().await?, id).await?;
        found.ok_or(Error::UnknownEvent(id))
    }

    /// Does with a parked event what the rules say now. A refusal changes nothing: it stays parked.
    ///
    /// # Errors
    /// `unknown_event`; `wrong_state` for one that is not parked; `unknown_source`; what it is refused for.
    pub async fn retry_received(&self, mappings: &[Mapping], id: RunId, by: &Operator) -> Result<ReceivedEvent, Error> {
        let subject = subject(id);
        let done = self.try_again(mappings, id, by, &subject).await;
        let event = self.audited("retry", Subject::Named(&subject), by, done).await?;
        self.hint();
        Ok(event)
    }

    async fn try_again(
        &self,
        mappings: &[Mapping],
        id: RunId,
        by: &Operator,
        subject: &str,
    ) -> Result<ReceivedEvent, Error> {
        let mut tx = self.begin().await?;
        let (row, body) = self.lock_parked(&mut tx, id).await?;
        let known = mappings.iter().find(|mapping| mapping.source == row.source);
        let mapping = known.ok_or_else(|| Error::UnknownSource(row.source.clone()))?;
        let body: Value = serde_json::from_str(&body).map_err(|_| unreadable("body"))?;
        // By its own id, so that it stays one event with those that were sent again meanwhile.
        let event = Incoming { id: row.event_id.clone(), ..mapping.read(body).map_err(unreadable)? };
        let mapped = mapping.map(&event).map_err(Error::from)?;
        let (state, run_id) = self.carry_out(&mut tx, mapping, &event, mapped, Uuid::now_v7()).await?;
        received::set_outcome(self.schema(), &mut tx, id, state, run_id, None).await?;
        let after = json!({"state": state, "run": run_id});
        audit::record_done(self.schema(), &mut tx, &entry("retry", subject, run_id, after), by.by()).await?;
        by.finish(tx).await?;
        Ok(ReceivedEvent { state, run_id, code: None, message: None, body: None, ..row })
    }

    /// Discards a parked event: nothing comes of it.
    ///
    /// # Errors
    /// `reason_required`, `unknown_event`; `wrong_state` for one that is not parked.
    pub async fn discard_received(&self, id: RunId, by: &Operator) -> Result<ReceivedEvent, Error> {
        let subject = subject(id);
        let discarding = async {
            by.check_reason(true, "discard")?;
            let mut tx = self.begin().await?;
            let (row, _) = self.lock_parked(&mut tx, id).await?;
            let state = ReceivedState::Discarded;
            received::set_outcome(self.schema(), &mut tx, id, state, None, None).await?;
            let entry = entry("discard", &subject, None, json!({"state": state}));
            audit::record_done(self.schema(), &mut tx, &entry, by.by()).await?;
            by.finish(tx).await?;
            Ok(ReceivedEvent { state, code: None, message: None, ..row })
        };
        self.audited("discard", Subject::Named(&subject), by, discarding.await).await
    }

    async fn lock_parked(&self, conn: &mut PgConnection, id: RunId) -> Result<(ReceivedEvent, String), Error> {
        let (event, body) = received::lock(self.schema(), conn, id).await?.ok_or(Error::UnknownEvent(id))?;
        match event.state {
            ReceivedState::Parked => Ok((event, body)),
            state => Err(Error::WrongState(format!("event {id} is not parked: it is {state}"))),
        }
    }

    /// Forgets events that were handled long ago. [`Engine::maintenance`] calls this.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub(in crate::engine) async fn forget_old_events(&self) -> Result<u64, Error> {
        received::forget_old(self.schema(), &mut *self.acquire().await?).await
    }
}

/// The event that a record is; or what it lacks.
fn read_record(mapping: &Mapping, value: &[u8]) -> Result<Incoming, String> {
    let body = serde_json::from_slice(value).map_err(|_| "no JSON".to_owned())?;
    let event = mapping.read(body).map_err(|field| format!("no {field}"))?;
    check_event(&event).map(|_| event).map_err(|refused| refused.to_string())
}

/// Whether an event can be kept; gives its body as text.
fn check_event(event: &Incoming) -> Result<String, Error> {
    check_label("id", &event.id, LONGEST_WORD)?;
    check_label("type", &event.kind, LONGEST_WORD)?;
    check_text("version", &event.version, LONGEST_WORD)?;
    let body = event.body.to_string();
    check_json("body", &body)?;
    Ok(body)
}

fn unreadable(field: &str) -> Error {
    Error::InvalidField {
        field: field.to_owned(),
        message: "the event as it came has none that can be read".to_owned(),
    }
}

fn subject(id: RunId) -> String {
    format!("event {id}")
}

/// What the audit keeps of who did what.
fn entry<'a>(action: &'a str, subject: &'a str, run: Option<RunId>, after: Value) -> audit::Entry<'a> {
    audit::Entry { action, run, subject: Some(subject), before: Some(json!({"state": "parked"})), after: Some(after) }
}
