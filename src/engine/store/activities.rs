//! What is on record of activities: what workers told when they registered, for servers that have not got their code.

use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::schema::Schema;
use crate::engine::{error::Error, read_models::ActivityInfo};

/// Puts a worker's activities on record. In the order of their names, so that two workers wait for each other in one order.
pub(crate) async fn register(schema: &Schema, conn: &mut PgConnection, all: &[ActivityInfo]) -> Result<(), Error> {
    let query = "INSERT INTO {schema}.activity AS a
            (name, undoable, verifiable, transactional, queue, policy, input, output)
        SELECT u.name, u.undoable, u.verifiable, u.transactional, u.queue, u.policy::json, u.input::json, u.output::json
        FROM unnest($1::text[], $2::bool[], $3::bool[], $4::bool[], $5::text[], $6::text[], $7::text[], $8::text[])
            u(name, undoable, verifiable, transactional, queue, policy, input, output)
        ORDER BY u.name
        ON CONFLICT (name) DO UPDATE SET undoable = excluded.undoable, verifiable = excluded.verifiable,
            transactional = excluded.transactional, queue = excluded.queue, policy = excluded.policy,
            input = excluded.input, output = excluded.output
        WHERE (a.undoable, a.verifiable, a.transactional, a.queue, a.policy::text, a.input::text, a.output::text)
            IS DISTINCT FROM (excluded.undoable, excluded.verifiable, excluded.transactional, excluded.queue,
                excluded.policy::text, excluded.input::text, excluded.output::text)";
    let text = |json: &Option<Value>| json.as_ref().map(Value::to_string);
    let policies: Result<Vec<_>, _> = all.iter().map(|activity| serde_json::to_string(&activity.policy)).collect();
    sqlx::query(schema.sql(query))
        .bind(all.iter().map(|activity| activity.name.as_str()).collect::<Vec<_>>())
        .bind(all.iter().map(|activity| activity.undoable).collect::<Vec<_>>())
        .bind(all.iter().map(|activity| activity.verifiable).collect::<Vec<_>>())
        .bind(all.iter().map(|activity| activity.transactional).collect::<Vec<_>>())
        .bind(all.iter().map(|activity| activity.queue.as_deref()).collect::<Vec<_>>())
        .bind(policies.map_err(|error| Error::InvalidRegistry(error.to_string()))?)
        .bind(all.iter().map(|activity| text(&activity.input)).collect::<Vec<_>>())
        .bind(all.iter().map(|activity| text(&activity.output)).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// All that were ever registered, in the order of their names, without their holds.
pub(crate) async fn load(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<ActivityInfo>, Error> {
    let query = "SELECT name, undoable, verifiable, transactional, queue, policy, input, output
        FROM {schema}.activity ORDER BY name COLLATE \"C\"";
    let rows = sqlx::query(schema.sql(query)).fetch_all(conn).await?;
    let activity = |row: &PgRow| {
        Ok(ActivityInfo {
            name: row.try_get("name")?,
            input: row.try_get("input")?,
            output: row.try_get("output")?,
            undoable: row.try_get("undoable")?,
            verifiable: row.try_get("verifiable")?,
            transactional: row.try_get("transactional")?,
            queue: row.try_get("queue")?,
            policy: row.try_get::<sqlx::types::Json<_>, _>("policy")?.0,
            hold: None,
        })
    };
    rows.iter().map(activity).collect()
}

/// The queues that activities name.
pub(crate) async fn queues(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<String>, Error> {
    let query = "SELECT DISTINCT queue FROM {schema}.activity WHERE queue IS NOT NULL";
    Ok(sqlx::query_scalar(schema.sql(query)).fetch_all(conn).await?)
}

/// The schema of what an activity gives; none where it is not on record. The inner one: it says none.
pub(crate) async fn output_schema(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
) -> Result<Option<Option<Value>>, Error> {
    let query = "SELECT output FROM {schema}.activity WHERE name = $1";
    Ok(sqlx::query_scalar(schema.sql(query)).bind(name).fetch_optional(conn).await?)
}
