//! Schedules and their slots. A decision or change holds the schedule's row lock, taken first of all.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::rows::{parse_json, read_word};
use super::schema::Schema;
use crate::engine::{
    core::{
        model::{Json, RunId, Time},
        redact::redact,
        schedule::{SlotOutcome, Standing},
    },
    error::Error,
    read_models::{ScheduleSpec, Slot},
};

/// A schedule's row, and what is known besides.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) spec: ScheduleSpec,
    /// Its input as it may be shown.
    pub(crate) shown: Json,
    pub(crate) standing: Standing,
    pub(crate) missed: i64,
    pub(crate) last: Option<Slot>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    /// The database's time.
    pub(crate) now: Time,
}

impl Stored {
    /// Whether nothing starts until it is resumed.
    pub(crate) fn paused(&self) -> bool {
        self.spec.paused.unwrap_or(false)
    }
}

/// Locks one schedule that has something to decide, and gives its name.
pub(crate) async fn lock_due(schema: &Schema, conn: &mut PgConnection) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar(schema.sql(include_str!("sql/due_schedule.sql"))).fetch_optional(conn).await?)
}

/// Locks a schedule by its name; false where there is none.
pub(crate) async fn lock(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let query = include_str!("sql/lock_schedule.sql");
    Ok(sqlx::query(schema.sql(query)).bind(name).fetch_optional(conn).await?.is_some())
}

/// One schedule as it stands.
pub(crate) async fn load(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<Option<Stored>, Error> {
    Ok(select(schema, conn, Some(name)).await?.into_iter().next())
}

/// All schedules, by name.
pub(crate) async fn list(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<Stored>, Error> {
    select(schema, conn, None).await
}

async fn select(schema: &Schema, conn: &mut PgConnection, name: Option<&str>) -> Result<Vec<Stored>, Error> {
    let rows = sqlx::query(schema.sql(include_str!("sql/read_schedules.sql"))).bind(name).fetch_all(conn).await?;
    rows.iter().map(|row| read_stored(row).map_err(Error::from)).collect()
}

fn read_stored(row: &PgRow) -> Result<Stored, sqlx::Error> {
    let input =
        parse_json(row.try_get("input")?).ok_or_else(|| sqlx::Error::Decode("schedule.input is no JSON".into()))?;
    let secret: Vec<String> = row.try_get("secret_fields")?;
    Ok(Stored {
        name: row.try_get("name")?,
        shown: redact(&input, &secret),
        spec: ScheduleSpec {
            cron: row.try_get("cron")?,
            time_zone: row.try_get("time_zone")?,
            workflow: row.try_get("workflow")?,
            input,
            queue: row.try_get("queue")?,
            overlap: read_word(row, "overlap")?,
            catch_up: read_word(row, "catch_up")?,
            paused: Some(row.try_get("paused")?),
        },
        standing: Standing {
            next_at: row.try_get("next_at")?,
            running: row.try_get("running")?,
            queued: row.try_get("queued")?,
        },
        missed: row.try_get("missed")?,
        last: row.try_get::<Option<Time>, _>("slot")?.map(|_| read_slot(row)).transpose()?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        now: row.try_get("now")?,
    })
}

fn read_slot(row: &PgRow) -> Result<Slot, sqlx::Error> {
    Ok(Slot {
        slot: row.try_get("slot")?,
        outcome: read_word(row, "outcome")?,
        run_id: row.try_get("run_id")?,
        message: row.try_get("message")?,
        at: row.try_get("at")?,
    })
}

/// Slots of a schedule before a moment, newest first.
pub(crate) async fn load_slots(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    before: Option<Time>,
    limit: i64,
) -> Result<Vec<Slot>, Error> {
    let query = "SELECT slot, outcome, run_id, message, at FROM {schema}.schedule_slot
        WHERE schedule = $1 AND ($2::timestamptz IS NULL OR slot < $2) ORDER BY slot DESC LIMIT $3";
    let rows = sqlx::query(schema.sql(query)).bind(name).bind(before).bind(limit).fetch_all(conn).await?;
    rows.iter().map(|row| read_slot(row).map_err(Error::from)).collect()
}

/// What is recorded of a slot: it, its outcome, and a sentence.
pub(crate) type SlotRecord = (Time, SlotOutcome, Option<String>);

/// Records slots; gives those that had not been decided before.
pub(crate) async fn record(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    slots: &[SlotRecord],
) -> Result<Vec<Time>, Error> {
    let rows = sqlx::query_scalar(schema.sql(include_str!("sql/record_slots.sql")))
        .bind(name)
        .bind(slots.iter().map(|(slot, ..)| *slot).collect::<Vec<_>>())
        .bind(slots.iter().map(|(_, outcome, _)| outcome.word()).collect::<Vec<_>>())
        .bind(slots.iter().map(|(.., message)| message.as_deref()).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// Notes the run of a slot that started. `last_run_id` is for the version before, which asks about that one only.
pub(crate) async fn mark_started(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    slot: Time,
    run: RunId,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.schedule_slot SET run_id = $3 WHERE schedule = $1 AND slot = $2";
    sqlx::query(schema.sql(query)).bind(name).bind(slot).bind(run).execute(&mut *conn).await?;
    let query = "UPDATE {schema}.schedule SET last_run_id = $2 WHERE name = $1";
    sqlx::query(schema.sql(query)).bind(name).bind(run).execute(conn).await?;
    Ok(())
}

/// Notes that the start of a slot was refused.
pub(crate) async fn mark_refused(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    slot: Time,
    message: &str,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.schedule_slot SET outcome = 'refused', message = $3 WHERE schedule = $1 AND slot = $2";
    sqlx::query(schema.sql(query)).bind(name).bind(slot).bind(message).execute(conn).await?;
    Ok(())
}

/// Notes which slot comes next.
pub(crate) async fn advance(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    next_at: Option<Time>,
) -> Result<(), Error> {
    let query = "UPDATE {schema}.schedule SET next_at = $2 WHERE name = $1";
    sqlx::query(schema.sql(query)).bind(name).bind(next_at).execute(conn).await?;
    Ok(())
}

/// Makes or replaces a schedule; what is not in the spec stays. False: it was there, and `only_new` left it alone.
pub(crate) async fn put(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    spec: &ScheduleSpec,
    next_at: Option<Time>,
    only_new: bool,
) -> Result<bool, Error> {
    let query = "INSERT INTO {schema}.schedule AS s (name, cron, time_zone, workflow, input, queue, overlap, catch_up, paused,
            next_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5::json, $6, $7, $8, coalesce($9, false), $10, {schema}.now(), {schema}.now())
        ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, time_zone = excluded.time_zone, workflow = excluded.workflow,
            input = excluded.input, queue = excluded.queue, overlap = excluded.overlap, catch_up = excluded.catch_up,
            paused = coalesce($9, s.paused), next_at = excluded.next_at, updated_at = excluded.updated_at
        WHERE NOT $11";
    let done = sqlx::query(schema.sql(query))
        .bind(name)
        .bind(&spec.cron)
        .bind(&spec.time_zone)
        .bind(&spec.workflow)
        .bind(spec.input.get())
        .bind(&spec.queue)
        .bind(spec.overlap.word())
        .bind(spec.catch_up.word())
        .bind(spec.paused)
        .bind(next_at)
        .bind(only_new)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Pauses or resumes a schedule.
pub(crate) async fn pause(schema: &Schema, conn: &mut PgConnection, name: &str, paused: bool) -> Result<(), Error> {
    let query = "UPDATE {schema}.schedule SET paused = $2, updated_at = {schema}.now() WHERE name = $1";
    sqlx::query(schema.sql(query)).bind(name).bind(paused).execute(conn).await?;
    Ok(())
}

/// Removes a schedule with its slots. Its runs stay.
pub(crate) async fn delete(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<(), Error> {
    sqlx::query(schema.sql("DELETE FROM {schema}.schedule WHERE name = $1")).bind(name).execute(&mut *conn).await?;
    sqlx::query(schema.sql("DELETE FROM {schema}.schedule_slot WHERE schedule = $1")).bind(name).execute(conn).await?;
    Ok(())
}
