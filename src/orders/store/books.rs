//! The shop's own books: their invariants, what `doctor`, the demo and tests ask, and what a comparison reads. Nothing here
//! writes.

use std::collections::{BTreeMap, HashSet, btree_map::Entry};

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::orders::read_word;
use crate::{
    engine::{RunId, Time},
    orders::difference::{AsItIs, DifferenceKind, Mismatch},
};

/// Breaches that are listed at most.
const AT_MOST: usize = 50;

/// Rows of them that a comparison reads.
const MOST_DIFFERENCES: i64 = 1_000;

/// What does not add up and was not written off so, in sentences; none when all does.
pub(crate) async fn find_breaches(
    conn: &mut PgConnection,
    written_off: &HashSet<AsItIs>,
) -> Result<Vec<String>, sqlx::Error> {
    // All of them: those that were written off must not stand before the others.
    let all = load_breaches(conn, None, Uuid::nil(), i64::MAX).await?;
    let summed = sum_up(all.iter().map(|(found, _)| found.clone()));
    let accepted: HashSet<_> = summed
        .into_iter()
        .filter(|found| written_off.contains(&found.as_it_is()))
        .map(|found| (found.kind, found.about()))
        .collect();
    let open = all.into_iter().filter(|(found, _)| !accepted.contains(&(found.kind, found.about())));
    Ok(open.map(|(_, sentence)| sentence).take(AT_MOST).collect())
}

/// The same as differences, of orders since `since` that have not changed after `until` and are not under way; and whether
/// those are all.
pub(crate) async fn find_differences(
    conn: &mut PgConnection,
    since: Time,
    until: Time,
) -> Result<(Vec<Mismatch>, bool), sqlx::Error> {
    let all = load_breaches(conn, Some(until), super::first_id_of(since), MOST_DIFFERENCES).await?;
    let is_whole = (all.len() as i64) < MOST_DIFFERENCES;
    Ok((sum_up(all.into_iter().map(|(found, _)| found)), is_whole))
}

async fn load_breaches(
    conn: &mut PgConnection,
    until: Option<Time>,
    first: Uuid,
    limit: i64,
) -> Result<Vec<(Mismatch, String)>, sqlx::Error> {
    let query = sqlx::query(include_str!("sql/book_breaches.sql")).bind(limit).bind(until).bind(first);
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok((Mismatch::from_row(row)?, row.try_get("breach")?))).collect()
}

/// Several of an order's own records that disagree are one difference, with the sums of their numbers: one more of them makes it
/// another difference than the one that was written off.
fn sum_up(found: impl Iterator<Item = Mismatch>) -> Vec<Mismatch> {
    let mut summed: BTreeMap<(DifferenceKind, String), Mismatch> = BTreeMap::new();
    for one in found {
        match summed.entry((one.kind, one.about())) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.expected = known.expected.saturating_add(one.expected);
                known.actual = known.actual.saturating_add(one.actual);
                known.currency = known.currency.take().filter(|currency| one.currency.as_ref() == Some(currency));
            }
            Entry::Vacant(free) => drop(free.insert(one)),
        }
    }
    summed.into_values().collect()
}

impl FromRow<'_, PgRow> for Mismatch {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            kind: read_word(row, "kind")?,
            order_id: row.try_get("order_id")?,
            payment_id: None,
            sku: row.try_get("sku")?,
            expected: row.try_get("expected")?,
            actual: row.try_get("actual")?,
            currency: row.try_get("currency")?,
        })
    }
}

/// What our books say of an order's payment.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Booked {
    pub(crate) id: Uuid,
    pub(crate) intent_id: Option<String>,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) currency: String,
    pub(crate) run_id: RunId,
    /// A run is about to settle it, if it goes on; or it is young.
    pub(crate) under_way: bool,
    /// It has changed lately, or a run will soon begin to settle it.
    pub(crate) is_young: bool,
}

/// An order that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Unended {
    pub(crate) id: Uuid,
    pub(crate) run_id: RunId,
    /// Minor units of the customer's.
    pub(crate) kept: i64,
    pub(crate) currency: String,
}

impl Unended {
    /// As a difference: its run has ended.
    pub(crate) fn left_alone(&self) -> Mismatch {
        Mismatch {
            kind: DifferenceKind::LeftAlone,
            order_id: Some(self.id),
            payment_id: None,
            sku: None,
            expected: 0,
            actual: self.kept,
            currency: Some(self.currency.clone()),
        }
    }
}

/// Orders as a comparison sees them; `$1` is the moment from which on a change is too young. A late payment's run may wait
/// for its order's undo: it has a day from the event that started it.
macro_rules! booked {
    ($condition:literal) => {
        concat!(
            "SELECT o.id, o.intent_id, o.captured, o.refunded, o.currency, o.run_id, y.is_young,
                y.is_young OR o.payment_state IN ('pending', 'unknown', 'refund_pending')
                OR o.state IN ('created', 'awaiting_payment', 'cancelling') AS under_way
            FROM shop.orders o, LATERAL (SELECT o.updated_at > $1
                OR (o.captured = 0 AND EXISTS (SELECT FROM shop.webhook_events e WHERE e.order_id = o.id
                    AND e.handled = 'late_payment' AND e.received_at > shop.now() - interval '1 day')) AS is_young) y
            WHERE ",
            $condition
        )
    };
}

/// The orders with these ids, and those that these payments are booked for.
pub(crate) async fn of_payments(
    conn: &mut PgConnection,
    until: Time,
    orders: &[Uuid],
    payments: &[&str],
) -> Result<Vec<Booked>, sqlx::Error> {
    let query = booked!("o.id = ANY ($2) OR o.intent_id = ANY ($3)");
    sqlx::query_as(query).bind(until).bind(orders).bind(payments).fetch_all(conn).await
}

/// A page of the orders with a payment, newest first, older than `before` and not older than `since`.
pub(crate) async fn page(
    conn: &mut PgConnection,
    until: Time,
    since: Time,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Booked>, sqlx::Error> {
    let query = booked!(
        "o.intent_id IS NOT NULL AND o.id >= $2 AND ($3::uuid IS NULL OR o.id < $3) ORDER BY o.id DESC LIMIT $4"
    );
    sqlx::query_as(query).bind(until).bind(super::first_id_of(since)).bind(before).bind(limit).fetch_all(conn).await
}

/// A page of the orders that have not come to their end and have not changed lately, as [`page`].
pub(crate) async fn unended(
    conn: &mut PgConnection,
    until: Time,
    since: Time,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Unended>, sqlx::Error> {
    let query = "SELECT id, run_id, captured - refunded AS kept, currency FROM shop.orders
        WHERE state NOT IN ('delivered', 'cancelled') AND updated_at <= $1 AND id >= $2 AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4";
    sqlx::query_as(query).bind(until).bind(super::first_id_of(since)).bind(before).bind(limit).fetch_all(conn).await
}

/// Units of an item that orders have taken for good.
pub(crate) async fn units_committed(conn: &mut PgConnection, sku: &str) -> Result<i64, sqlx::Error> {
    let query =
        "SELECT coalesce(sum(quantity), 0)::bigint FROM shop.reservations WHERE sku = $1 AND state = 'committed'";
    sqlx::query_scalar(query).bind(sku).fetch_one(conn).await
}
