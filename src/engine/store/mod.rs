//! All SQL of the engine, and nothing else that is durable. One file per thing that the database can do; a statement with
//! a lock or a CTE is a file in `sql/` whose header says why it is as it is.
//!
//! | file | does |
//! |---|---|
//! | `schema` | the schema's name, and statements with the name filled in |
//! | `migrate`, `baseline` | migrations; databases from before engine and shop had a history each |
//! | `transaction` | begins a transaction, borrows a connection: both may be dropped at any await |
//! | `session` | what a session has to be for our statements to mean what they say |
//! | `start` | starts runs, once per key |
//! | `lent` | a connection of the pool that goes back only when it has answered |
//! | `claim` | takes due runs for a lane; loads what is on record of them |
//! | `flush/` | records steps and ends, fenced |
//! | `parts` | statements of which only the parts are sent that are needed |
//! | `lanes` | registers workers and lanes; takeover; release |
//! | `activities` | what workers told of their activities |
//! | `timers`, `signals` | wake parked runs |
//! | `verbs` | what operators' actions write, with their audit |
//! | `fork` | a new run with a part of another one's record |
//! | `attention`, `unhealthy`, `paused`, `audit` | one small table each, written by workers and operators alike |
//! | `holds` | what is held back, and the runs put aside for it |
//! | `operations` | bulk operations and their runs |
//! | `schedules` | schedules and their slots |
//! | `retention` | makes partitions ahead; drops and deletes what has been kept long enough |
//! | `statistics` | what the planner knows of runs and steps |
//! | `received` | events from outside, and how far topics were handled |
//! | `limits`, `breakers` | the token buckets and circuit breakers that processes share |
//! | `outbox/` | events: emitted, numbered, read; how far each sink has got |
//! | `keys` | API keys and sessions, with their audit |
//! | `reads`, `export`, `server`, `gauges` | what people see |
//! | `search/` | which runs, what needs attention, the audit, the fleet |

pub(crate) mod activities;
mod attention;
pub(crate) mod audit;
mod baseline;
pub(crate) mod breakers;
pub(crate) mod claim;
pub(crate) mod export;
pub(crate) mod flush;
pub(crate) mod fork;
pub(crate) mod gauges;
pub(crate) mod holds;
pub(crate) mod keys;
pub(crate) mod lanes;
mod lent;
pub(crate) mod limits;
pub(crate) mod migrate;
pub(crate) mod operations;
pub(crate) mod outbox;
mod parts;
mod paused;
pub(crate) mod reads;
pub(crate) mod received;
pub(crate) mod retention;
pub(crate) mod rows;
pub(crate) mod schedules;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod signals;
pub(crate) mod start;
pub(crate) mod statistics;
pub(crate) mod timers;
pub(crate) mod transaction;
mod unhealthy;
pub(crate) mod verbs;

use std::time::Duration;

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener},
};

pub use self::lent::Lent;
pub(crate) use self::lent::{close_idle, give_back};
use self::schema::Schema;
use super::{
    core::{model::Time, time::LONGEST},
    error::Error,
};

/// What a hint ([`Schema::channel`]) says where holds have changed.
pub(crate) const HOLDS_HINT: &str = "holds";

/// The database's time, as durable decisions see it.
pub(crate) async fn now(schema: &Schema, conn: &mut PgConnection) -> Result<Time, Error> {
    Ok(sqlx::query_scalar(schema.sql("SELECT {schema}.now()")).fetch_one(conn).await?)
}

/// Moves the clock that durable decisions go by: for tests.
pub(crate) async fn move_clock(schema: &Schema, conn: &mut PgConnection, by: Duration) -> Result<(), Error> {
    let micros = by.min(LONGEST).as_micros() as i64;
    let query = "UPDATE {schema}.clock SET shift = shift + $1 * interval '1 microsecond'";
    sqlx::query(schema.sql(query)).bind(micros).execute(conn).await?;
    Ok(())
}

/// The server's limits for a session that holds locks on which others wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimits {
    /// A statement that takes longer is cancelled.
    pub(crate) statement: Duration,
    /// A transaction that stands still for so long is ended, and its session with it.
    pub(crate) idle_in_transaction: Duration,
    /// A wait for a lock of somebody else's ends after so long.
    pub(crate) lock: Duration,
}

/// Connection options for the hot statements. Their plans are pinned: unnest() of a parameter is always taken for ten
/// rows, and a table that looks empty (just vacuumed, or a new week's partition) would get a scan of the whole of it, or of a whole
/// index, cached for the time when it is not. Pages that cost nothing make a look by key the cheapest way while a table is not quite
/// empty; for when it is, flush.sql and claim.sql leave no other way.
pub(crate) fn hot_options(options: &PgConnectOptions, limits: SessionLimits) -> PgConnectOptions {
    let millis = |limit: Duration| limit.as_millis().to_string();
    session::pinned(options.clone())
        .application_name("backstitch lane")
        .options([
            ("statement_timeout", millis(limits.statement)),
            ("idle_in_transaction_session_timeout", millis(limits.idle_in_transaction)),
            ("lock_timeout", millis(limits.lock)),
        ])
        .options(session::KEEPALIVES)
        .options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("random_page_cost", "0"),
            ("jit", "off"),
            ("max_parallel_workers_per_gather", "0"),
        ])
}

/// Asks a connection that waits for hints whether it is still one.
pub(crate) async fn ping(listener: &mut PgListener) -> Result<(), Error> {
    sqlx::query("SELECT 1").execute(listener).await?;
    Ok(())
}

/// Tells idle workers of other processes that something may be due. Never inside a hot transaction: NOTIFY takes a
/// lock that all who notify share. It is held until the commit is over, which therefore does not wait for the disk; a hint
/// may be lost. `from`: whose it is.
pub(crate) async fn send_hint(schema: &Schema, pool: &PgPool, from: &str) -> Result<(), Error> {
    let mut conn = Lent::of(pool).await?;
    let query = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('{schema}_due', $1)";
    sqlx::query(schema.sql(query)).bind(from).execute(&mut *conn).await?;
    conn.give_back();
    Ok(())
}
