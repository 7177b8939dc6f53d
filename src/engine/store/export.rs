//! What belongs to one run beside its row and its steps. Read for one run at a time, by its id.

use sqlx::{PgConnection, Row};

use super::{rows::parse_json, schema::Schema};
use crate::engine::{
    core::{model::RunId, redact::redact},
    error::Error,
    read_models::{Compensation, InboxSignal, SlotOfRun},
};

/// The inbox of a run, oldest first, with these fields hidden.
pub(crate) async fn load_signals(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    secret: &[String],
) -> Result<Vec<InboxSignal>, Error> {
    let query = "SELECT id, name, payload::text AS payload, key, consumed_by, created_at FROM {schema}.signal
        WHERE run_id = $1 ORDER BY id";
    let rows = sqlx::query(schema.sql(query)).bind(run).fetch_all(conn).await?;
    let view = |row: &sqlx::postgres::PgRow| {
        Ok::<_, sqlx::Error>(InboxSignal {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            payload: parse_json(row.try_get("payload")?).map(|payload| redact(&payload, secret)),
            key: row.try_get("key")?,
            consumed_by: row.try_get("consumed_by")?,
            created_at: row.try_get("created_at")?,
        })
    };
    rows.iter().map(|row| view(row).map_err(Error::from)).collect()
}

/// That the run's plan of undos was made, if it was.
pub(crate) async fn load_compensation(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
) -> Result<Option<Compensation>, Error> {
    let query = "SELECT cause::text, planned_at FROM {schema}.compensation WHERE run_id = $1";
    let row: Option<(Option<String>, _)> = sqlx::query_as(schema.sql(query)).bind(run).fetch_optional(conn).await?;
    Ok(row.map(|(cause, planned_at)| Compensation { cause: parse_json(cause), planned_at }))
}

/// The slot of this schedule that started the run.
pub(crate) async fn load_slot(
    schema: &Schema,
    conn: &mut PgConnection,
    schedule: &str,
    run: RunId,
) -> Result<Option<SlotOfRun>, Error> {
    let query = "SELECT slot FROM {schema}.schedule_slot WHERE schedule = $1 AND run_id = $2 ORDER BY slot LIMIT 1";
    let slot = sqlx::query_scalar(schema.sql(query)).bind(schedule).bind(run).fetch_optional(conn).await?;
    Ok(slot.map(|slot| SlotOfRun { schedule: schedule.to_owned(), slot }))
}
