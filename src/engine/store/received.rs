//! Events from outside, each once by its source and id; and how far a topic's partitions have been handled.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    rows::{parse_json, read_word},
    schema::Schema,
};
use crate::engine::{
    core::model::RunId,
    error::Error,
    read_models::{ReceivedEvent, ReceivedFilter, ReceivedState},
};

/// How long events that nobody has to look at are kept: a repetition that comes later counts as new.
const KEPT_DAYS: i32 = 30;
/// Events forgotten in one statement.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// An event to record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEvent<'a> {
    pub(crate) id: RunId,
    pub(crate) source: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) state: ReceivedState,
    pub(crate) run: Option<RunId>,
}

/// Why an event is parked, and what is kept of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parked<'a> {
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) body: &'a str,
}

/// Records an event. False: its source has sent one with this id before. Waits for a transaction that records the same.
pub(crate) async fn record(schema: &Schema, conn: &mut PgConnection, event: &NewEvent<'_>) -> Result<bool, Error> {
    let query = "INSERT INTO {schema}.received_event (id, source, event_id, type, state, run_id)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (source, event_id) DO NOTHING";
    let inserted = sqlx::query(schema.sql(query))
        .bind(event.id)
        .bind(event.source)
        .bind(event.event_id)
        .bind(event.kind)
        .bind(event.state.word())
        .bind(event.run)
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// What came of an event of this source and id.
pub(crate) async fn find_outcome(
    schema: &Schema,
    conn: &mut PgConnection,
    source: &str,
    event_id: &str,
) -> Result<Option<(ReceivedState, Option<RunId>)>, Error> {
    let query = "SELECT state, run_id FROM {schema}.received_event WHERE source = $1 AND event_id = $2";
    let row = sqlx::query(schema.sql(query)).bind(source).bind(event_id).fetch_optional(conn).await?;
    row.map(|row| Ok((read_word(&row, "state")?, row.try_get("run_id")?))).transpose()
}

/// Writes what came of an event, where that is not what it was recorded as.
pub(crate) async fn set_outcome(
    schema: &Schema,
    conn: &mut PgConnection,
    id: RunId,
    state: ReceivedState,
    run: Option<RunId>,
    parked: Option<Parked<'_>>,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.received_event SET state = $2, run_id = $3, code = $4, message = $5, body = $6
        WHERE id = $1";
    sqlx::query(schema.sql(query))
        .bind(id)
        .bind(state.word())
        .bind(run)
        .bind(parked.map(|parked| parked.code))
        .bind(parked.map(|parked| parked.message))
        .bind(parked.map(|parked| parked.body))
        .execute(conn)
        .await?;
    Ok(())
}

/// An event, locked, with its body as it came.
pub(crate) async fn lock(
    schema: &Schema,
    conn: &mut PgConnection,
    id: RunId,
) -> Result<Option<(ReceivedEvent, String)>, Error> {
    let query = sqlx::query(schema.sql(include_str!("sql/lock_received.sql"))).bind(id);
    let row = query.fetch_optional(conn).await?;
    row.map(|row| Ok((read(&row)?, row.try_get::<Option<String>, _>("body")?.unwrap_or_default()))).transpose()
}

/// An event with its body.
pub(crate) async fn find(schema: &Schema, conn: &mut PgConnection, id: RunId) -> Result<Option<ReceivedEvent>, Error> {
    let query = "SELECT id, source, event_id, type, state, code, message, run_id, received_at, body
        FROM {schema}.received_event WHERE id = $1";
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(conn).await?;
    let with_body = |row: PgRow| Ok(ReceivedEvent { body: parse_json(row.try_get("body")?), ..read(&row)? });
    row.map(with_body).transpose()
}

/// A page of events, the latest first.
pub(crate) async fn load_page(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &ReceivedFilter,
    before: Option<RunId>,
    limit: i64,
) -> Result<Vec<ReceivedEvent>, Error> {
    let query = "SELECT id, source, event_id, type, state, code, message, run_id, received_at
        FROM {schema}.received_event
        WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4";
    let rows = sqlx::query(schema.sql(query))
        .bind(&filter.source)
        .bind(filter.state.map(ReceivedState::word))
        .bind(before)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| read(row).map_err(Error::from)).collect()
}

fn read(row: &PgRow) -> Result<ReceivedEvent, sqlx::Error> {
    Ok(ReceivedEvent {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        event_id: row.try_get("event_id")?,
        kind: row.try_get("type")?,
        state: read_word(row, "state")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        run_id: row.try_get("run_id")?,
        received_at: row.try_get("received_at")?,
        body: None,
    })
}

/// Forgets events that were handled long ago, a bounded number of them.
pub(crate) async fn forget_old(schema: &Schema, conn: &mut PgConnection) -> Result<u64, Error> {
    let query = "DELETE FROM {schema}.received_event WHERE state <> 'parked' AND id IN (
        SELECT id FROM {schema}.received_event
        WHERE state <> 'parked' AND received_at < {schema}.now() - make_interval(days => $1) LIMIT $2)";
    let query = sqlx::query(schema.sql(query)).bind(KEPT_DAYS).bind(FORGOTTEN_AT_ONCE);
    Ok(query.execute(conn).await?.rows_affected())
}

/// How far a partition of a topic has been handled: the offset of the next record.
pub(crate) async fn position(
    schema: &Schema,
    conn: &mut PgConnection,
    source: &str,
    topic: &str,
    part: i32,
) -> Result<Option<i64>, Error> {
    let query = "SELECT next_offset FROM {schema}.topic_position WHERE source = $1 AND topic = $2 AND part = $3";
    let query = sqlx::query_scalar(schema.sql(query)).bind(source).bind(topic).bind(part);
    Ok(query.fetch_optional(conn).await?)
}

/// The same, locked; where there is none, it begins at `first`.
pub(crate) async fn lock_position(
    schema: &Schema,
    conn: &mut PgConnection,
    source: &str,
    topic: &str,
    part: i32,
    first: i64,
) -> Result<i64, Error> {
    let query = "INSERT INTO {schema}.topic_position (source, topic, part, next_offset) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING";
    sqlx::query(schema.sql(query)).bind(source).bind(topic).bind(part).bind(first).execute(&mut *conn).await?;
    let query = sqlx::query_scalar(schema.sql(include_str!("sql/lock_position.sql")));
    Ok(query.bind(source).bind(topic).bind(part).fetch_one(conn).await?)
}

/// Moves a locked position.
pub(crate) async fn move_position(
    schema: &Schema,
    conn: &mut PgConnection,
    source: &str,
    topic: &str,
    part: i32,
    next: i64,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.topic_position SET next_offset = $4 WHERE source = $1 AND topic = $2 AND part = $3";
    sqlx::query(schema.sql(query)).bind(source).bind(topic).bind(part).bind(next).execute(conn).await?;
    Ok(())
}
