//! All SQL of the engine, and nothing else that is durable. One file per thing that the database can do; a statement with
//! a lock or a CTE is a file in `sql/` whose header says why it is as it is.
//!
//! | file | does |
//! |---|---|
//! | `start` | starts runs, once per key |
//! | `audit` | what was done, and what was refused |
//! | `claim` | takes due runs for a lane; loads what is on record of them |
//! | `flush` | records steps and ends, fenced |
//! | `keys` | API keys and sessions, with their audit |
//! | `lanes` | registers workers and lanes; takeover; release |
//! | `timers`, `signals` | wake parked runs |
//! | `fork` | a new run with a part of another one's record |
//! | `operate` | what operators' verbs write, with their audit |
//! | `attention`, `exceptional`, `paused` | one small table each, written by workers and verbs alike |
//! | `holds` | what is held back, and the runs put aside for it |
//! | `operate` | cancel, compensate, retry, with their audit |
//! | `schedules` | schedules and their slots |
//! | `reads`, `server`, `gauges` | what people see |
//! | `reads`, `server` | what people see |
//! | `holds` | what is held back, and the runs put aside for it |
//! | `operations` | bulk operations and their runs |
//! | `operate` | cancel, compensate, retry, with their audit |
//! | `retention` | makes partitions ahead; drops and deletes what has been kept long enough |
//! | `schedules` | schedules and their slots |
//! | `operate` | what operators' verbs write, with their audit |
//! | `attention`, `exceptional`, `paused`, `audit` | one small table each, written by workers and verbs alike |
//! | `reads`, `server`, `gauges` | what people see |
//! | `finding/` | which runs, what needs attention, what was done, who is there |

mod attention;
pub(crate) mod audit;
pub(crate) mod claim;
mod exceptional;
pub(crate) mod export;
pub(crate) mod finding;
pub(crate) mod flush;
pub(crate) mod fork;
pub(crate) mod gauges;
pub(crate) mod holds;
pub(crate) mod keys;
pub(crate) mod lanes;
pub(crate) mod operate;
pub(crate) mod operations;
mod paused;
pub(crate) mod reads;
pub(crate) mod retention;
pub(crate) mod rows;
pub(crate) mod schedules;
pub(crate) mod server;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod timers;

use sqlx::{PgConnection, PgPool, migrate::Migrator, postgres::PgConnectOptions};

use super::{core::model::Time, error::Error};

/// The channel on which "something may be due" is hinted. Polling alone is enough; a hint only makes it sooner.
pub(crate) const HINT_CHANNEL: &str = "backstitch_due";

/// What a hint on that channel says where holds have changed.
pub(crate) const HOLDS_HINT: &str = "holds";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The migrations, with their bookkeeping in our own schema, so that a service that embeds the engine keeps its own
/// `_sqlx_migrations` to itself.
fn migrator() -> Migrator {
    let mut migrator = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrator.create_schema("backstitch");
    migrator.dangerous_set_table_name("backstitch.migration");
    migrator
}

/// Brings the schema up to date. Safe to run twice or side by side: it takes a database-wide lock.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), Error> {
    Ok(migrator().run(pool).await?)
}

/// The versions that this binary brings but the database has not applied.
pub(crate) async fn missing_migrations(pool: &PgPool) -> Result<Vec<i64>, Error> {
    let known: bool =
        sqlx::query_scalar("SELECT to_regclass('backstitch.migration') IS NOT NULL").fetch_one(pool).await?;
    let applied: Vec<i64> = if known {
        sqlx::query_scalar("SELECT version FROM backstitch.migration WHERE success").fetch_all(pool).await?
    } else {
        Vec::new()
    };
    Ok(MIGRATIONS.iter().map(|migration| migration.version).filter(|version| !applied.contains(version)).collect())
}

/// The database's time, as durable decisions see it.
pub(crate) async fn now(conn: &mut PgConnection) -> Result<Time, Error> {
    Ok(sqlx::query_scalar("SELECT backstitch.now()").fetch_one(conn).await?)
}

/// Connection options for the hot statements. Their plans are pinned: unnest() of a parameter is always taken for ten
/// rows, and a table that looks empty (just vacuumed) would get a sequential scan cached for the time when it is not.
pub(crate) fn hot_options(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().application_name("backstitch lane").options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ])
}

/// Tells idle workers of other processes that something may be due. Never inside a hot transaction: NOTIFY takes a
/// lock that is held until the commit is on disk.
pub(crate) async fn hint(pool: &PgPool) -> Result<(), Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(HINT_CHANNEL).execute(pool).await?;
    Ok(())
}
