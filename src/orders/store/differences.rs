//! Differences on record, and how far comparisons are.

use std::collections::HashSet;

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::orders::{optional_word, read_word};
use crate::{
    engine::Time,
    orders::{
        difference::{
            AsItIs, Difference, DifferenceKind, DifferenceState, Mend, Mismatch, OpenDifferences, Reconciliation,
        },
        reconcile::Progress,
        state::Word,
    },
};

impl FromRow<'_, PgRow> for Difference {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind: DifferenceKind = read_word(row, "kind")?;
        Ok(Self {
            id: row.try_get("id")?,
            kind,
            order_id: row.try_get("order_id")?,
            payment_id: row.try_get("payment_id")?,
            sku: row.try_get("sku")?,
            expected: row.try_get("expected")?,
            actual: row.try_get("actual")?,
            currency: row.try_get("currency")?,
            state: read_word(row, "state")?,
            first_seen: row.try_get("first_seen")?,
            last_seen: row.try_get("last_seen")?,
            mend: optional_word(row, "mend")?.unwrap_or(kind.mend()),
            mended_by: row.try_get("mended_by")?,
            reason: row.try_get("reason")?,
            mend_run: row.try_get("mend_run")?,
            mended_at: row.try_get("mended_at")?,
        })
    }
}

/// Records a difference that was read from `read_at` on. Gives whether it is open.
pub(crate) async fn record(conn: &mut PgConnection, found: &Mismatch, read_at: Time) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/record_difference.sql"))
        .bind(Uuid::now_v7())
        .bind(found.kind.word())
        .bind(found.about())
        .bind(found.order_id)
        .bind(&found.payment_id)
        .bind(&found.sku)
        .bind(found.expected)
        .bind(found.actual)
        .bind(read_at)
        .bind(&found.currency)
        .fetch_one(conn)
        .await
}

/// Closes the open differences of a payment that are of other kinds than these: they went away.
pub(crate) async fn close_others(
    conn: &mut PgConnection,
    payment_id: &str,
    kinds: &[&str],
    read_at: Time,
) -> Result<u64, sqlx::Error> {
    let query = "UPDATE shop.difference SET state = 'gone'
        WHERE payment_id = $1 AND state = 'open' AND kind <> ALL ($2) AND last_seen < $3";
    let closed = sqlx::query(query).bind(payment_id).bind(kinds).bind(read_at).execute(conn).await?;
    Ok(closed.rows_affected())
}

/// The same for what our own records disagreed about and was not seen since `read_at`.
pub(crate) async fn close_books(conn: &mut PgConnection, read_at: Time) -> Result<u64, sqlx::Error> {
    let query = "UPDATE shop.difference SET state = 'gone'
        WHERE state = 'open' AND payment_id IS NULL AND last_seen < $1";
    Ok(sqlx::query(query).bind(read_at).execute(conn).await?.rows_affected())
}

/// The payments that open differences are about.
pub(crate) async fn open_payments(conn: &mut PgConnection, limit: i64) -> Result<Vec<String>, sqlx::Error> {
    let query = "SELECT DISTINCT payment_id FROM shop.difference
        WHERE state = 'open' AND payment_id IS NOT NULL ORDER BY payment_id LIMIT $1";
    sqlx::query_scalar(query).bind(limit).fetch_all(conn).await
}

/// What was written off, as it was then.
pub(crate) async fn written_off(conn: &mut PgConnection) -> Result<HashSet<AsItIs>, sqlx::Error> {
    let query =
        "SELECT kind, about, expected, actual FROM shop.difference WHERE state = 'mended' AND mend = 'write_off'";
    let rows = sqlx::query(query).fetch_all(conn).await?;
    let read = |row: &PgRow| {
        Ok((read_word(row, "kind")?, row.try_get("about")?, row.try_get("expected")?, row.try_get("actual")?))
    };
    rows.iter().map(read).collect()
}

/// A page of differences, the latest first.
pub(crate) async fn load_page(
    conn: &mut PgConnection,
    state: Option<DifferenceState>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Difference>, sqlx::Error> {
    let query = "SELECT * FROM shop.difference
        WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
    sqlx::query_as(query).bind(state.map(Word::word)).bind(before).bind(limit).fetch_all(conn).await
}

/// One difference.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Difference>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM shop.difference WHERE id = $1").bind(id).fetch_optional(conn).await
}

/// The same, locked.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Difference>, sqlx::Error> {
    sqlx::query_as(include_str!("sql/lock_difference.sql")).bind(id).fetch_optional(conn).await
}

/// Writes what mends a difference that is locked, who wants it, and by which run.
pub(crate) async fn begin_mend(
    conn: &mut PgConnection,
    id: Uuid,
    mend: Mend,
    by: (&str, &str),
    run: Uuid,
) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.difference SET mend = $2, mended_by = $3, reason = $4, mend_run = $5 WHERE id = $1";
    let (actor, reason) = by;
    sqlx::query(query).bind(id).bind(mend.word()).bind(actor).bind(reason).bind(run).execute(conn).await?;
    Ok(())
}

/// Writes that this run has mended it.
pub(crate) async fn end_mend(conn: &mut PgConnection, id: Uuid, run: Uuid) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.difference SET state = 'mended', mended_at = shop.now() WHERE id = $1 AND mend_run = $2";
    sqlx::query(query).bind(id).bind(run).execute(conn).await?;
    Ok(())
}

/// How many are open, by kind.
pub(crate) async fn count_open(conn: &mut PgConnection) -> Result<Vec<OpenDifferences>, sqlx::Error> {
    let query = "SELECT kind, count(*) FROM shop.difference WHERE state = 'open' GROUP BY kind ORDER BY kind";
    let rows = sqlx::query(query).fetch_all(conn).await?;
    rows.iter().map(|row| Ok(OpenDifferences { kind: read_word(row, "kind")?, count: row.try_get("count")? })).collect()
}

impl FromRow<'_, PgRow> for Reconciliation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            run_id: row.try_get("run_id")?,
            began_at: row.try_get("began_at")?,
            updated_at: row.try_get("updated_at")?,
            ended_at: row.try_get("ended_at")?,
            phase: row.try_get("phase")?,
            payments: row.try_get("payments")?,
            orders: row.try_get("orders")?,
            refunds: row.try_get("refunds")?,
            under_way: row.try_get("under_way")?,
            unknown: row.try_get("unknown")?,
            differences: row.try_get("differences")?,
            error: row.try_get("error")?,
        })
    }
}

/// Writes how far a run's comparison is, or with what its last attempt failed.
pub(crate) async fn note_progress(
    conn: &mut PgConnection,
    run: Uuid,
    progress: &Progress,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO shop.reconciliation AS r
            (run_id, began_at, updated_at, phase, payments, orders, refunds, under_way, unknown, error)
        VALUES ($1, shop.now(), shop.now(), $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (run_id) DO UPDATE SET updated_at = shop.now(), phase = excluded.phase, payments = excluded.payments,
            orders = excluded.orders, refunds = excluded.refunds, under_way = excluded.under_way,
            unknown = excluded.unknown, error = excluded.error";
    let Progress { phase, payments, orders, refunds, under_way, unknown } = *progress;
    sqlx::query(query)
        .bind(run)
        .bind(phase)
        .bind(payments)
        .bind(orders)
        .bind(refunds)
        .bind(under_way)
        .bind(unknown)
        .bind(error)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes that a run's comparison is done.
pub(crate) async fn finish(conn: &mut PgConnection, run: Uuid, differences: i64) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.reconciliation SET ended_at = shop.now(), updated_at = shop.now(), differences = $2
        WHERE run_id = $1";
    sqlx::query(query).bind(run).bind(differences).execute(conn).await?;
    Ok(())
}

/// One comparison, or the latest.
pub(crate) async fn find_reconciliation(
    conn: &mut PgConnection,
    run: Option<Uuid>,
) -> Result<Option<Reconciliation>, sqlx::Error> {
    let query =
        "SELECT * FROM shop.reconciliation WHERE $1::uuid IS NULL OR run_id = $1 ORDER BY began_at DESC LIMIT 1";
    sqlx::query_as(query).bind(run).fetch_optional(conn).await
}
