//! Orders and their keys: insert, lock, save, read, list.

use std::collections::HashMap;

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    engine::Time,
    orders::{
        changes::Changes,
        delivery::Delivery,
        events::{OrderEvent, events_of},
        notices::Contact,
        order::{Cancel, Line, Order},
        state::{OrderState, Word},
    },
};

impl FromRow<'_, PgRow> for Order {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let address: Option<String> = row.try_get("address")?;
        let place = (row.try_get("lat")?, row.try_get("lon")?, row.try_get("deliver_at")?);
        let cancel = match row.try_get::<Option<Time>, _>("cancel_at")? {
            None => None,
            Some(at) => Some(Cancel {
                at,
                by: read_word(row, "cancel_by")?,
                bp: row.try_get::<i32, _>("cancel_bp")?.unsigned_abs(),
                note: row.try_get("cancel_note")?,
            }),
        };
        let delivery = address.map(|address| Delivery { address, lat: place.0, lon: place.1, at: place.2 });
        Ok(Self {
            changes: Changes::since(delivery.as_ref()),
            id: row.try_get("id")?,
            run_id: row.try_get("run_id")?,
            customer_id: row.try_get("customer_id")?,
            state: read_word(row, "state")?,
            cancel_reason: optional_word(row, "cancel_reason")?,
            payment_state: read_word(row, "payment_state")?,
            stock_state: read_word(row, "stock_state")?,
            items: Vec::new(),
            total: row.try_get("total")?,
            refunded: row.try_get("refunded")?,
            currency: row.try_get("currency")?,
            placed_at: row.try_get("placed_at")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            archived: row.try_get::<Option<Time>, _>("archived_at")?.is_some(),
            captured: row.try_get("captured")?,
            intent_id: row.try_get("intent_id")?,
            delivery,
            cancel,
            refund_tiers: row.try_get("refund_tiers")?,
            dispatched_at: row.try_get("dispatched_at")?,
            delivered_at: row.try_get("delivered_at")?,
        })
    }
}

pub(super) fn read_word<T: Word>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let found: String = row.try_get(column)?;
    T::from_word(&found).ok_or_else(|| unknown_word(column, &found))
}

pub(super) fn optional_word<T: Word>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let found: Option<String> = row.try_get(column)?;
    found.map(|found| T::from_word(&found).ok_or_else(|| unknown_word(column, &found))).transpose()
}

/// A state that a newer version of this program wrote.
pub(super) fn unknown_word(column: &str, found: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: format!("{found:?} is not known here").into() }
}

/// An idempotency key, the order that it is to stand for, and the hash of its request.
pub(crate) type OrderKey<'a> = (&'a str, Uuid, &'a [u8]);

/// Takes keys for new orders, and gives the orders whose key was free. Of two at the same moment the second waits here for the
/// first one's commit.
pub(crate) async fn claim_keys(conn: &mut PgConnection, keys: &[OrderKey<'_>]) -> Result<Vec<Uuid>, sqlx::Error> {
    // In one order, so that two groups with the same keys can't deadlock.
    let query = "INSERT INTO shop.order_keys (key, order_id, hash)
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::bytea[]) AS k (key, order_id, hash) ORDER BY key
        ON CONFLICT DO NOTHING RETURNING order_id";
    sqlx::query_scalar(query)
        .bind(keys.iter().map(|key| key.0).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.1).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.2).collect::<Vec<_>>())
        .fetch_all(conn)
        .await
}

/// Gives back the keys of orders that are not placed after all.
pub(crate) async fn give_back_keys(conn: &mut PgConnection, keys: &[&str], orders: &[Uuid]) -> Result<(), sqlx::Error> {
    let query = "DELETE FROM shop.order_keys WHERE key = ANY ($1) AND order_id = ANY ($2)";
    sqlx::query(query).bind(keys).bind(orders).execute(conn).await?;
    Ok(())
}

/// The order that a key stands for, and the hash of its request.
pub(crate) async fn key_owner(conn: &mut PgConnection, key: &str) -> Result<Option<(Uuid, Vec<u8>)>, sqlx::Error> {
    let query = "SELECT order_id, hash FROM shop.order_keys WHERE key = $1";
    sqlx::query_as(query).bind(key).fetch_optional(conn).await
}

/// Inserts new orders with their lines, contacts and events. The times in `orders` are not used: the database's are, and are
/// given back.
pub(crate) async fn insert_all(
    conn: &mut PgConnection,
    orders: &[&Order],
    contacts: &[(Uuid, &Contact)],
) -> Result<Time, sqlx::Error> {
    let lines: Vec<(Uuid, &Line)> =
        orders.iter().flat_map(|order| order.items.iter().map(|line| (order.id, line))).collect();
    let events: Vec<OrderEvent> = orders.iter().flat_map(|order| events_of(order)).collect();
    sqlx::query_scalar(include_str!("sql/insert_orders.sql"))
        .bind(of(orders, |order| order.id))
        .bind(of(orders, |order| order.run_id))
        .bind(of(orders, |order| order.customer_id.as_str()))
        .bind(of(orders, |order| order.currency.as_str()))
        .bind(of(orders, |order| order.total))
        .bind(of(orders, |order| order.refund_tiers.as_str()))
        .bind(of(orders, |order| order.delivery.as_ref().map(|delivery| delivery.address.as_str())))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.lat)))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.lon)))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.at)))
        .bind(lines.iter().map(|(order, _)| *order).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.sku.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.quantity).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, line)| line.price).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.order.to_string()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.dataschema).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.data.as_str()).collect::<Vec<_>>())
        .bind(contacts.iter().map(|(order, _)| *order).collect::<Vec<_>>())
        .bind(contacts.iter().map(|(_, contact)| contact.email.as_deref()).collect::<Vec<_>>())
        .bind(contacts.iter().map(|(_, contact)| contact.phone.as_deref()).collect::<Vec<_>>())
        .bind(contacts.iter().map(|(_, contact)| contact.locale.as_deref()).collect::<Vec<_>>())
        .fetch_one(conn)
        .await
}

/// One value of each order.
fn of<'a, T>(orders: &[&'a Order], read: impl Fn(&'a Order) -> T) -> Vec<T> {
    orders.iter().map(|order| read(order)).collect()
}

pub(super) fn to_columns(lines: &[Line]) -> (Vec<&str>, Vec<i64>, Vec<i64>) {
    let skus = lines.iter().map(|line| line.sku.as_str()).collect();
    let quantities = lines.iter().map(|line| line.quantity).collect();
    (skus, quantities, lines.iter().map(|line| line.price).collect())
}

/// Locks an order's row until the end of the transaction. The lines are not read.
pub(crate) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Order>, sqlx::Error> {
    Ok(lock_all(conn, vec![id]).await?.pop())
}

/// Locks those of these orders that exist, by id.
pub(crate) async fn lock_all(conn: &mut PgConnection, mut ids: Vec<Uuid>) -> Result<Vec<Order>, sqlx::Error> {
    ids.sort_unstable();
    sqlx::query_as(include_str!("sql/lock_orders.sql")).bind(ids).fetch_all(conn).await
}

/// Locks those of these orders that nobody else has locked. Gives the others.
pub(crate) async fn locked_by_others(conn: &mut PgConnection, mut ids: Vec<Uuid>) -> Result<Vec<Uuid>, sqlx::Error> {
    ids.sort_unstable();
    ids.dedup();
    sqlx::query_scalar(include_str!("sql/locked_orders.sql")).bind(ids).fetch_all(conn).await
}

/// Writes what can change of an order that was locked before.
pub(crate) async fn save(conn: &mut PgConnection, order: &Order) -> Result<(), sqlx::Error> {
    save_all(conn, &[order]).await
}

/// The same of several orders: the one place through which all changes of orders go, with the events that they are.
pub(crate) async fn save_all(conn: &mut PgConnection, orders: &[&Order]) -> Result<(), sqlx::Error> {
    let events: Vec<OrderEvent> = orders.iter().flat_map(|order| events_of(order)).collect();
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("sql/save_orders.sql"))
        .bind(of(orders, |order| order.id))
        .bind(of(orders, |order| order.run_id))
        .bind(of(orders, |order| order.state.word()))
        .bind(of(orders, |order| order.cancel_reason.map(Word::word)))
        .bind(of(orders, |order| order.payment_state.word()))
        .bind(of(orders, |order| order.stock_state.word()))
        .bind(of(orders, |order| order.captured))
        .bind(of(orders, |order| order.refunded))
        .bind(of(orders, |order| order.intent_id.as_deref()))
        .bind(of(orders, |order| order.delivery.as_ref().map(|delivery| delivery.address.as_str())))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.lat)))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.lon)))
        .bind(of(orders, |order| order.delivery.as_ref().and_then(|delivery| delivery.at)))
        .bind(of(orders, |order| order.placed_at))
        .bind(of(orders, |order| order.dispatched_at))
        .bind(of(orders, |order| order.delivered_at))
        .bind(of(orders, |order| order.cancel.as_ref().map(|cancel| cancel.at)))
        .bind(of(orders, |order| order.cancel.as_ref().map(|cancel| cancel.by.word())))
        .bind(of(orders, |order| order.cancel.as_ref().and_then(|cancel| i32::try_from(cancel.bp).ok())))
        .bind(of(orders, |order| order.cancel.as_ref().and_then(|cancel| cancel.note.as_deref())))
        .bind(events.iter().map(|event| event.id).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.order.to_string()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.dataschema).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.data.as_str()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// An order with its lines; of an archived one the slim row.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Order>, sqlx::Error> {
    let Some(order) = row(conn, id).await? else { return Ok(None) };
    Ok(with_lines(conn, vec![order]).await?.pop())
}

/// The same without its lines.
pub(crate) async fn row(conn: &mut PgConnection, id: Uuid) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM shop.orders WHERE id = $1").bind(id).fetch_optional(conn).await
}

/// Those of these orders that exist, without their lines.
pub(crate) async fn rows(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Order>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<Order> =
        sqlx::query_as("SELECT * FROM shop.orders WHERE id = ANY ($1)").bind(ids).fetch_all(conn).await?;
    Ok(found.into_iter().map(|order| (order.id, order)).collect())
}

/// Those of these orders that exist, with their lines; of an archived one the slim row.
pub(crate) async fn find_all(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Order>, sqlx::Error> {
    let found = rows(conn, ids).await?.into_values().collect();
    Ok(with_lines(conn, found).await?.into_iter().map(|order| (order.id, order)).collect())
}

/// Orders of each customer that are neither delivered nor cancelled, counted up to `most`. The customers are locked by
/// [`super::items::find_all`].
pub(crate) async fn count_in_flight(
    conn: &mut PgConnection,
    customers: &[&str],
    most: u32,
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let query = "SELECT c.id, (SELECT count(*) FROM (SELECT FROM shop.orders o WHERE o.customer_id = c.id
        AND o.archived_at IS NULL AND o.state NOT IN ('delivered', 'cancelled') LIMIT $2) o)
        FROM unnest($1::text[]) AS c (id)";
    let counts: Vec<(String, i64)> =
        sqlx::query_as(query).bind(customers).bind(i64::from(most)).fetch_all(conn).await?;
    Ok(counts.into_iter().collect())
}

/// An order's run, and where the order stands.
pub(crate) async fn progress(conn: &mut PgConnection, id: Uuid) -> Result<Option<(Uuid, OrderState)>, sqlx::Error> {
    let query = "SELECT run_id, state FROM shop.orders WHERE id = $1";
    let row = sqlx::query(query).bind(id).fetch_optional(conn).await?;
    row.map(|row| Ok((row.try_get("run_id")?, read_word(&row, "state")?))).transpose()
}

/// Whose an order is.
pub(crate) async fn customer_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT customer_id FROM shop.orders WHERE id = $1").bind(id).fetch_optional(conn).await
}

/// The order that a payment belongs to.
pub(crate) async fn id_of_intent(conn: &mut PgConnection, intent: &str) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM shop.orders WHERE intent_id = $1").bind(intent).fetch_optional(conn).await
}

/// Live orders, newest first, older than `before` and not older than `since`: a customer's, or everybody's.
pub(crate) async fn load_page(
    conn: &mut PgConnection,
    customer: Option<&str>,
    before: Option<(Time, Uuid)>,
    since: Time,
    limit: i64,
) -> Result<Vec<Order>, sqlx::Error> {
    let of_customer = "SELECT * FROM shop.orders
        WHERE customer_id = $1 AND archived_at IS NULL AND created_at >= $4
          AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
        ORDER BY created_at DESC, id DESC LIMIT $5";
    // Ids are in the order of their making, and have an index: everybody's orders are not sorted for each page.
    let of_all = "SELECT * FROM shop.orders
        WHERE $1::text IS NULL AND archived_at IS NULL AND created_at >= $4
          AND ($2::timestamptz IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $5";
    let query = if customer.is_some() { of_customer } else { of_all };
    let (at, id) = before.unzip();
    let found =
        sqlx::query_as(query).bind(customer).bind(at).bind(id).bind(since).bind(limit).fetch_all(&mut *conn).await?;
    with_lines(conn, found).await
}

/// Ended orders that have not changed for `age_s` seconds and are not archived yet, oldest first. Those are as old at least, and
/// found by that: an index on what changes would be written with each change.
pub(crate) async fn to_archive(conn: &mut PgConnection, age_s: f64, limit: i64) -> Result<Vec<Uuid>, sqlx::Error> {
    let query = "SELECT id FROM shop.orders
        WHERE archived_at IS NULL AND state IN ('delivered', 'cancelled')
          AND created_at <= (SELECT shop.now()) - make_interval(secs => $1)
          AND updated_at <= (SELECT shop.now()) - make_interval(secs => $1)
          AND payment_state NOT IN ('refund_pending', 'refund_failed', 'unknown')
        ORDER BY created_at LIMIT $2";
    sqlx::query_scalar(query).bind(age_s).bind(limit).fetch_all(conn).await
}

async fn with_lines(conn: &mut PgConnection, mut orders: Vec<Order>) -> Result<Vec<Order>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id).collect();
    if ids.is_empty() {
        return Ok(orders);
    }
    let query = "SELECT order_id, sku, quantity, price FROM shop.order_items WHERE order_id = ANY ($1) ORDER BY sku";
    let rows: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(query).bind(ids).fetch_all(conn).await?;
    for (id, sku, quantity, price) in rows {
        if let Some(order) = orders.iter_mut().find(|order| order.id == id) {
            order.items.push(Line { sku, quantity, price });
        }
    }
    Ok(orders)
}

/// The lines of one order, by sku.
pub(crate) async fn load_lines(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Line>, sqlx::Error> {
    let query = "SELECT sku, quantity, price FROM shop.order_items WHERE order_id = $1 ORDER BY sku";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(query).bind(id).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(sku, quantity, price)| Line { sku, quantity, price }).collect())
}
