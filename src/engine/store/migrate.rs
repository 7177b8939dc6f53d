//! Migrations. A history of them is recorded in the schema that it makes, in table `migration`, so that an engine in somebody's
//! database leaves their `_sqlx_migrations` alone, and so that an engine and what is built on it each have a history of their own.

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, SqlSafeStr,
    migrate::{Migration, Migrator},
};

use super::{
    baseline,
    schema::{DEFAULT_SCHEMA, Schema},
};
use crate::engine::error::Error;

/// The engine's own history.
static ENGINE: Migrator = sqlx::migrate!("./migrations/engine");

/// Brings the engine's schema up to date. Safe to run twice or side by side.
pub(crate) async fn migrate(pool: &PgPool, schema: &Schema) -> Result<(), Error> {
    let mut conn = lock(pool, schema.name()).await?;
    if schema.name() == DEFAULT_SCHEMA {
        let first = ENGINE.iter().next().map(|first| &*first.checksum);
        baseline::adopt(&mut conn, first.unwrap_or_default()).await?;
    }
    finish(conn, &migrator(&ENGINE, schema, schema.name())).await
}

/// Brings another schema up to date by its own history, in whose texts `{schema}` is the engine's.
pub(crate) async fn apply(pool: &PgPool, history: &Migrator, engine: &Schema, of: &Schema) -> Result<(), Error> {
    let conn = lock(pool, of.name()).await?;
    finish(conn, &migrator(history, engine, of.name())).await
}

/// A connection of our own that holds the lock of one schema's history: when it is closed, or this future dropped, the lock goes.
async fn lock(pool: &PgPool, schema: &str) -> Result<PgConnection, Error> {
    let mut conn = pool.acquire().await?.detach();
    let query = "SELECT pg_advisory_lock(hashtextextended('backstitch migrations of ' || $1, 0))";
    sqlx::query(query).bind(schema).execute(&mut conn).await?;
    Ok(conn)
}

async fn finish(mut conn: PgConnection, migrator: &Migrator) -> Result<(), Error> {
    migrator.run_direct(None, &mut conn, false).await?;
    Ok(sqlx::Connection::close(conn).await?)
}

/// A history with the engine's schema filled in. Checksums stay those of the texts as they are in the files.
fn migrator(history: &Migrator, engine: &Schema, of: &str) -> Migrator {
    let rendered = |migration: &Migration| Migration {
        sql: AssertSqlSafe(engine.render(migration.sql.as_str())).into_sql_str(),
        ..migration.clone()
    };
    let mut migrator = Migrator::with_migrations(history.iter().map(rendered).collect());
    migrator.create_schema(of.to_owned());
    migrator.dangerous_set_table_name(format!("{of}.migration"));
    migrator.set_locking(false); // sqlx's lock is for the whole database; ours is for the schema
    migrator
}

/// The versions of the engine's history that the database lacks.
pub(crate) async fn missing(pool: &PgPool, schema: &Schema) -> Result<Vec<i64>, Error> {
    missing_of(pool, &ENGINE, schema).await
}

/// The versions of a history that the database lacks. A database that an earlier version made, with one history for all schemas,
/// lacks everything until `migrate` has adopted it.
pub(crate) async fn missing_of(pool: &PgPool, history: &Migrator, of: &Schema) -> Result<Vec<i64>, Error> {
    let query = "SELECT to_regclass($1 || '.migration') IS NOT NULL";
    let known: bool = sqlx::query_scalar(query).bind(of.name()).fetch_one(pool).await?;
    let applied: Vec<(i64, Vec<u8>)> = if known {
        let query = format!("SELECT version, checksum FROM {of}.migration WHERE success");
        sqlx::query_as(AssertSqlSafe(query)).fetch_all(pool).await?
    } else {
        Vec::new()
    };
    let is_applied = |migration: &Migration| {
        applied.iter().any(|(version, checksum)| *version == migration.version && **checksum == *migration.checksum)
    };
    Ok(history.iter().filter(|migration| !is_applied(migration)).map(|migration| migration.version).collect())
}
