//! All SQL of the order domain. One file per thing that is kept; a statement with a lock or a CTE is a file in `sql/`
//! whose header says why it is as it is.
//!
//! Everything works on the caller's connection, so that it commits with whatever the caller does. Locks are taken in one
//! order: the order's row ([`orders::lock`]), then item rows by sku, then the rest (the run's row last of all).

pub(crate) mod alerts;
pub(crate) mod books;
pub(crate) mod differences;
pub(crate) mod history;
pub(crate) mod inbox;
pub(crate) mod items;
pub(crate) mod notifications;
pub(crate) mod orders;
pub(crate) mod refunds;
pub(crate) mod reservations;
pub(crate) mod retention;

use sqlx::{PgConnection, migrate::Migrator};
use uuid::Uuid;

use crate::engine::Time;

/// The history of that schema.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/shop");

/// The database's time, as durable decisions see it. A statement of its own: asked for after a lock was waited for, it
/// is the time after the wait.
pub(crate) async fn now(conn: &mut PgConnection) -> Result<Time, sqlx::Error> {
    sqlx::query_scalar("SELECT shop.now()").fetch_one(conn).await
}

/// The first UUIDv7 of a moment.
fn first_id_of(at: Time) -> Uuid {
    Uuid::from_u128(u128::from(at.timestamp_millis().unsigned_abs()) << 80)
}
