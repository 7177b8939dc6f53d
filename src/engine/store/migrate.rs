//! Migrations. A history of them is recorded in the schema that it makes, in table `migration`, so that an engine in somebody's
//! database leaves their `_sqlx_migrations` alone, and so that an engine and what is built on it each have a history of their own.
//!
//! A release is known by the newest migration that it comes with. Each migration says which is the oldest release that it still
//! serves (`-- serves: N`; without that line, none but its own), and that is recorded beside it: so an older release knows whether
//! it can work on a newer schema, and a newer one whether it may migrate while older workers live.

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, SqlSafeStr,
    migrate::{Migration, Migrator},
};

use super::{
    baseline,
    schema::{DEFAULT_SCHEMA, Schema},
    transaction::acquire,
};
use crate::engine::error::Error;

/// The engine's own history.
static ENGINE: Migrator = sqlx::migrate!("./migrations/engine");

/// This release, by which its workers are known.
pub(crate) fn release() -> i64 {
    newest(&ENGINE)
}

/// Brings the engine's schema up to date. Safe to run twice or side by side.
pub(crate) async fn migrate(pool: &PgPool, schema: &Schema) -> Result<(), Error> {
    if is_done(pool, &ENGINE, schema).await? {
        return Ok(());
    }
    let mut conn = lock(pool, schema.name()).await?;
    if schema.name() == DEFAULT_SCHEMA {
        let first = ENGINE.iter().next().map(|first| &*first.checksum);
        baseline::adopt(&mut conn, first.unwrap_or_default()).await?;
    }
    refuse_beside_workers(&mut conn, schema).await?;
    finish(conn, &ENGINE, schema, schema).await
}

/// Brings another schema up to date by its own history, in whose texts `{schema}` is the engine's.
pub(crate) async fn apply(pool: &PgPool, history: &Migrator, engine: &Schema, of: &Schema) -> Result<(), Error> {
    if is_done(pool, history, of).await? {
        return Ok(());
    }
    let conn = lock(pool, of.name()).await?;
    finish(conn, history, engine, of).await
}

/// Whether there is nothing to apply: then nothing is touched, and no right to create anything is needed.
///
/// # Errors
/// `schema_too_new`: a newer release has migrated it, and this one can't work on it.
async fn is_done(pool: &PgPool, history: &Migrator, of: &Schema) -> Result<bool, Error> {
    let mut conn = acquire(pool).await?;
    let applied = read_applied(&mut conn, of).await?;
    let serves = newer_than(history, &applied).filter_map(|row| row.serves).max();
    if let Some(serves) = serves.filter(|serves| *serves > newest(history)) {
        return Err(Error::SchemaTooNew { schema: of.name().to_owned(), serves, release: newest(history) });
    }
    Ok(missing_from(history, &applied).is_empty())
}

/// Whether this release has all that it needs of the engine's schema.
///
/// # Errors
/// `schema_too_new`.
pub(crate) async fn is_current(pool: &PgPool, schema: &Schema) -> Result<bool, Error> {
    is_done(pool, &ENGINE, schema).await
}

/// A connection of our own that holds the lock of one schema's history: when it is closed, or this future dropped, the lock goes.
async fn lock(pool: &PgPool, schema: &str) -> Result<PgConnection, Error> {
    let mut conn = acquire(pool).await?.detach();
    let query = "SELECT pg_advisory_lock(hashtextextended('backstitch migrations of ' || $1, 0))";
    sqlx::query(query).bind(schema).execute(&mut conn).await?;
    Ok(conn)
}

/// Refuses where a worker is alive whose release some missing migration does not serve. One that is silent has stopped.
///
/// # Errors
/// `old_workers`.
async fn refuse_beside_workers(conn: &mut PgConnection, schema: &Schema) -> Result<(), Error> {
    let applied = read_applied(conn, schema).await?;
    let before = applied.iter().map(|row| row.version).max();
    let (Some(before), missing) = (before, missing_from(&ENGINE, &applied)) else { return Ok(()) };
    let serves = ENGINE.iter().filter(|migration| missing.contains(&migration.version)).map(serves).max();
    // Workers from before there was the column are of the release that made the schema.
    let query = "SELECT DISTINCT k.name FROM {schema}.lane l JOIN {schema}.worker k ON k.id = l.worker_id
        WHERE l.alive AND l.beat > clock_timestamp() - interval '1 minute'
          AND coalesce((to_jsonb(k) ->> 'release')::bigint, $1) < $2 ORDER BY k.name";
    let query = sqlx::query_scalar(schema.sql(query)).bind(before).bind(serves.unwrap_or_default());
    let workers: Vec<String> = query.fetch_all(conn).await?;
    if workers.is_empty() { Ok(()) } else { Err(Error::OldWorkers { workers }) }
}

async fn finish(mut conn: PgConnection, history: &Migrator, engine: &Schema, of: &Schema) -> Result<(), Error> {
    let query = "SELECT to_regnamespace($1) IS NOT NULL";
    let exists: bool = sqlx::query_scalar(query).bind(of.name()).fetch_one(&mut conn).await?;
    build_migrator(history, engine, of.name(), !exists).run_direct(None, &mut conn, false).await?;
    let query = format!("ALTER TABLE {of}.migration ADD COLUMN IF NOT EXISTS serves bigint");
    sqlx::query(AssertSqlSafe(query)).execute(&mut conn).await?;
    for migration in history.iter() {
        let query = format!("UPDATE {of}.migration SET serves = $2 WHERE version = $1 AND serves IS NULL");
        let query = sqlx::query(AssertSqlSafe(query)).bind(migration.version).bind(serves(migration));
        query.execute(&mut conn).await?;
    }
    Ok(sqlx::Connection::close(conn).await?)
}

/// A history with the engine's schema filled in. Checksums stay those of the texts as they are in the files.
fn build_migrator(history: &Migrator, engine: &Schema, of: &str, creates: bool) -> Migrator {
    let rendered = |migration: &Migration| Migration {
        sql: AssertSqlSafe(engine.render(migration.sql.as_str())).into_sql_str(),
        ..migration.clone()
    };
    let mut migrator = Migrator::with_migrations(history.iter().map(rendered).collect());
    if creates {
        migrator.create_schema(of.to_owned());
    }
    migrator.dangerous_set_table_name(format!("{of}.migration"));
    migrator.set_locking(false); // sqlx's lock is for the whole database; ours is for the schema
    migrator.set_ignore_missing(true); // those of newer releases, which serve this one: see `is_done`
    migrator
}

/// The oldest release that a migration serves, as its header says.
fn serves(migration: &Migration) -> i64 {
    let said = migration.sql.as_str().lines().find_map(|line| line.strip_prefix("-- serves: "));
    said.and_then(|said| said.trim().parse().ok()).unwrap_or(migration.version)
}

fn newest(history: &Migrator) -> i64 {
    history.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// A migration on record.
struct Applied {
    version: i64,
    checksum: Vec<u8>,
    /// The oldest release that it serves; none where it was applied before that was recorded.
    serves: Option<i64>,
}

/// A database that an earlier version made, with one history for all schemas, has nothing on record until `migrate` has adopted it.
async fn read_applied(conn: &mut PgConnection, of: &Schema) -> Result<Vec<Applied>, Error> {
    let query = "SELECT to_regclass($1 || '.migration') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(query).bind(of.name()).fetch_one(&mut *conn).await? {
        return Ok(Vec::new());
    }
    let query = format!(
        "SELECT version, checksum, (to_jsonb(m) ->> 'serves')::bigint FROM {of}.migration m WHERE success ORDER BY version"
    );
    let rows: Vec<(i64, Vec<u8>, Option<i64>)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(version, checksum, serves)| Applied { version, checksum, serves }).collect())
}

fn missing_from(history: &Migrator, applied: &[Applied]) -> Vec<i64> {
    let is_applied = |migration: &Migration| {
        applied.iter().any(|row| row.version == migration.version && *row.checksum == *migration.checksum)
    };
    history.iter().filter(|migration| !is_applied(migration)).map(|migration| migration.version).collect()
}

fn newer_than<'a>(history: &Migrator, applied: &'a [Applied]) -> impl Iterator<Item = &'a Applied> {
    let newest = newest(history);
    applied.iter().filter(move |row| row.version > newest)
}

/// The versions of the engine's history that the database lacks.
pub(crate) async fn find_missing(pool: &PgPool, schema: &Schema) -> Result<Vec<i64>, Error> {
    missing_of(pool, &ENGINE, schema).await
}

/// The versions of a history that the database lacks.
pub(crate) async fn missing_of(pool: &PgPool, history: &Migrator, of: &Schema) -> Result<Vec<i64>, Error> {
    Ok(missing_from(history, &read_applied(&mut *acquire(pool).await?, of).await?))
}

/// The engine's migrations that a newer release has applied.
pub(crate) async fn newer(pool: &PgPool, schema: &Schema) -> Result<Vec<i64>, Error> {
    let applied = read_applied(&mut *acquire(pool).await?, schema).await?;
    Ok(newer_than(&ENGINE, &applied).map(|row| row.version).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_new_migration_says_which_release_it_serves() {
        for migration in ENGINE.iter().filter(|migration| migration.version >= 50) {
            let says = migration.sql.as_str().lines().any(|line| line.starts_with("-- serves: "));
            assert!(says && serves(migration) <= migration.version, "migration {}", migration.version);
        }
    }

    #[test]
    fn a_migration_that_says_nothing_serves_its_own_release_alone() {
        let of = |number| ENGINE.iter().find(|migration| migration.version == number).map(serves);
        assert_eq!((of(1), of(50)), (Some(1), Some(3)));
    }
}
