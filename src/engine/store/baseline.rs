//! Databases that were made before engine and shop had a history each.
//!
//! They have one history of ten migrations, recorded in `backstitch.migration`. The first migration of each new history makes
//! the same tables as those ten together, so a database that has all ten gets these two recorded in their place, and what it
//! holds is left alone. One that has not got them all is refused: the version that knows how to apply the rest is the old one.

use sha2::{Digest, Sha384};
use sqlx::{AssertSqlSafe, PgConnection};

use super::transaction::begin_on;
use crate::engine::error::Error;

/// The old history: the first bytes of each migration's checksum, in order, from number 1.
const BEFORE: [&str; 10] = [
    "a2f60ea3224af53b",
    "bc1e63e2bde3275e",
    "ee11444e9629522d",
    "798fa231a4de11b9",
    "5b30dcf57267706c",
    "fd053c7851918475",
    "8fc47c320d5ad8a5",
    "9880522d3bf5778e",
    "0d99ad1dc8a39853",
    "c2a4932dc3393fbd",
];

/// The shop's first migration. Recorded here too, because the old rows that stand for it can only be taken away once.
const SHOP: &str = include_str!("../../../migrations/shop/0001_shop.sql");

/// Turns the old history, where there is one, into the beginnings of the new ones, in one transaction. `engine`: the checksum of
/// the engine's first migration.
///
/// # Errors
/// `incomplete_history`: some of the ten are missing.
pub(super) async fn adopt(conn: &mut PgConnection, engine: &[u8]) -> Result<(), Error> {
    let mut tx = begin_on(conn).await?;
    let query = "SELECT to_regclass('backstitch.migration') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(query).fetch_one(&mut *tx).await? {
        return Ok(());
    }
    // The old version's migrator may be at work: its lock is another than ours.
    sqlx::query("LOCK TABLE backstitch.migration IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    let query =
        "SELECT version, left(encode(checksum, 'hex'), 16) FROM backstitch.migration WHERE success ORDER BY version";
    let applied: Vec<(i64, String)> = sqlx::query_as(query).fetch_all(&mut *tx).await?;
    let is_applied = |(number, checksum): (i64, &str)| applied.iter().any(|row| *row == (number, checksum.to_owned()));
    if !is_applied((1, BEFORE[0])) {
        return Ok(());
    }
    let missing: Vec<i64> = (1..).zip(BEFORE).filter(|before| !is_applied(*before)).map(|(number, _)| number).collect();
    if !missing.is_empty() {
        return Err(Error::IncompleteHistory { missing });
    }
    for query in
        ["DELETE FROM backstitch.migration", "CREATE TABLE shop.migration (LIKE backstitch.migration INCLUDING ALL)"]
    {
        sqlx::query(query).execute(&mut *tx).await?;
    }
    let shop = Sha384::digest(SHOP);
    for (table, name, checksum) in [("backstitch.migration", "engine", engine), ("shop.migration", "shop", &shop[..])] {
        let query = format!(
            "INSERT INTO {table} (version, description, success, checksum, execution_time) VALUES (1, $1, true, $2, 0)"
        );
        sqlx::query(AssertSqlSafe(query)).bind(name).bind(checksum).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    tracing::info!("the migrations of an earlier version were adopted");
    Ok(())
}
