//! Notifications, and where people are reached.

use std::collections::HashMap;

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::orders::{read_word, unknown_word};
use crate::{
    notices::{Channel, Recipient, address::mask},
    orders::{
        notices::model::{
            Attempted, Claimed, Concerned, Contact, NewNotification, Notification, NotificationCount,
            NotificationState, Seller,
        },
        state::Word,
    },
};

fn read_channel(row: &PgRow) -> Result<Channel, sqlx::Error> {
    let found: String = row.try_get("channel")?;
    let channel = Channel::ALL.into_iter().find(|channel| channel.word() == found);
    channel.ok_or_else(|| unknown_word("channel", &found))
}

fn read_recipient(row: &PgRow) -> Result<Recipient, sqlx::Error> {
    let found: String = row.try_get("recipient")?;
    let recipient = Recipient::ALL.into_iter().find(|recipient| recipient.word() == found);
    recipient.ok_or_else(|| unknown_word("recipient", &found))
}

impl FromRow<'_, PgRow> for Notification {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (state, to): (NotificationState, String) = (read_word(row, "state")?, row.try_get("address")?);
        let waits = matches!(state, NotificationState::Pending | NotificationState::Failed);
        let next: crate::engine::Time = row.try_get("next_attempt_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            order_id: row.try_get("order_id")?,
            about: row.try_get("about")?,
            recipient: read_recipient(row)?,
            seller_id: row.try_get("seller_id")?,
            channel: read_channel(row)?,
            to: if to.is_empty() { to } else { mask(&to) },
            state,
            attempts: row.try_get("attempts")?,
            provider: row.try_get("provider")?,
            last_error: row.try_get("last_error")?,
            created_at: row.try_get("created_at")?,
            next_attempt_at: waits.then_some(next),
            sent_at: row.try_get("sent_at")?,
        })
    }
}

/// Sets or clears who sells an item.
pub(crate) async fn put_seller(conn: &mut PgConnection, sku: &str, seller: Option<&Seller>) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.items SET seller_id = $2, seller_email = $3
        WHERE sku = $1 AND (seller_id, seller_email) IS DISTINCT FROM ($2, $3)";
    let (id, email) = seller.map(|seller| (&seller.id, seller.email.as_ref())).unzip();
    sqlx::query(query).bind(sku).bind(id).bind(email.flatten()).execute(conn).await?;
    Ok(())
}

/// Who sells an item.
pub(crate) async fn find_seller(conn: &mut PgConnection, sku: &str) -> Result<Option<Seller>, sqlx::Error> {
    let query = "SELECT seller_id, seller_email FROM shop.items WHERE sku = $1 AND seller_id IS NOT NULL";
    let found: Option<(String, Option<String>)> = sqlx::query_as(query).bind(sku).fetch_optional(conn).await?;
    Ok(found.map(|(id, email)| Seller { id, email }))
}

/// Whom these orders concern.
pub(crate) async fn concerned(
    conn: &mut PgConnection,
    orders: &[Uuid],
) -> Result<HashMap<Uuid, Concerned>, sqlx::Error> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let query = "SELECT o.id, o.customer_id, c.email, c.phone, c.locale
        FROM shop.orders o LEFT JOIN shop.order_contact c ON c.order_id = o.id WHERE o.id = ANY ($1)";
    let rows = sqlx::query(query).bind(orders).fetch_all(&mut *conn).await?;
    let mut all = HashMap::with_capacity(rows.len());
    for row in rows {
        let contact =
            Contact { email: row.try_get("email")?, phone: row.try_get("phone")?, locale: row.try_get("locale")? };
        let concerned = Concerned { customer_id: row.try_get("customer_id")?, contact, sellers: Vec::new() };
        all.insert(row.try_get("id")?, concerned);
    }
    let query = "SELECT l.order_id, i.seller_id, i.seller_email
        FROM shop.order_items l JOIN shop.items i USING (sku)
        WHERE l.order_id = ANY ($1) AND i.seller_id IS NOT NULL AND i.seller_email IS NOT NULL
        UNION SELECT order_id, seller_id, email FROM shop.order_seller WHERE order_id = ANY ($1)";
    let sellers: Vec<(Uuid, String, String)> = sqlx::query_as(query).bind(orders).fetch_all(conn).await?;
    for (order, id, email) in sellers {
        all.entry(order).and_modify(|concerned: &mut Concerned| concerned.sellers.push((id, email)));
    }
    Ok(all)
}

/// Makes notifications; those of a cause that were made before stay. Gives how many are new.
pub(crate) async fn insert_all(conn: &mut PgConnection, new: &[NewNotification]) -> Result<u64, sqlx::Error> {
    fn of<'a, T>(new: &'a [NewNotification], read: impl Fn(&'a NewNotification) -> T) -> Vec<T> {
        new.iter().map(read).collect()
    }
    if new.is_empty() {
        return Ok(0);
    }
    let query =
        "INSERT INTO shop.notification (id, cause, order_id, about, recipient, seller_id, channel, address, locale,
            state, created_at, next_attempt_at)
        SELECT k.id, k.cause, k.order_id, k.about, k.recipient, k.seller_id, k.channel, k.address, k.locale,
            'pending', now(), now()
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[]) AS k(id, cause, order_id, about, recipient, seller_id, channel, address, locale)
        ON CONFLICT DO NOTHING";
    let inserted = sqlx::query(query)
        .bind(of(new, |_| Uuid::now_v7()))
        .bind(of(new, |new| new.cause))
        .bind(of(new, |new| new.order_id))
        .bind(of(new, |new| new.about.as_str()))
        .bind(of(new, |new| new.recipient.word()))
        .bind(of(new, |new| new.seller_id.as_deref()))
        .bind(of(new, |new| new.channel.word()))
        .bind(of(new, |new| new.address.as_str()))
        .bind(of(new, |new| new.locale.as_deref()))
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected())
}

/// Takes what is due, for so many seconds; gives beside that how many were looked at, those that wait for an earlier one too.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    limit: i64,
    seconds: f64,
) -> Result<(Vec<Claimed>, usize), sqlx::Error> {
    let query = include_str!("sql/claim_notifications.sql");
    let rows = sqlx::query(query).bind(limit).bind(seconds).fetch_all(conn).await?;
    let read = |row: &PgRow| -> Result<Claimed, sqlx::Error> {
        Ok(Claimed {
            id: row.try_get("id")?,
            order_id: row.try_get("order_id")?,
            about: row.try_get("about")?,
            recipient: read_recipient(row)?,
            channel: read_channel(row)?,
            address: row.try_get("address")?,
            locale: row.try_get("locale")?,
            attempt: row.try_get("attempts")?,
            failures: row.try_get("failures")?,
        })
    };
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get("is_first")? {
            claimed.push(read(row)?);
        }
    }
    Ok((claimed, rows.len()))
}

/// Keeps those whose attempt is still the last, for so many seconds from now.
pub(crate) async fn renew(conn: &mut PgConnection, claimed: &[Claimed], seconds: f64) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.notification n SET next_attempt_at = now() + make_interval(secs => $3)
        FROM unnest($1::uuid[], $2::int[]) AS k(id, attempt)
        WHERE n.id = k.id AND n.attempts = k.attempt AND n.state IN ('pending', 'failed')";
    sqlx::query(query)
        .bind(claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>())
        .bind(claimed.iter().map(|claimed| claimed.attempt).collect::<Vec<_>>())
        .bind(seconds)
        .execute(conn)
        .await?;
    Ok(())
}

/// Records what became of attempts that are still the last.
pub(crate) async fn record(conn: &mut PgConnection, done: &[Attempted]) -> Result<(), sqlx::Error> {
    fn of<'a, T>(done: &'a [Attempted], read: impl Fn(&'a Attempted) -> T) -> Vec<T> {
        done.iter().map(read).collect()
    }
    let query = "UPDATE shop.notification n SET state = k.state, failures = k.failures, last_error = k.error,
            provider = coalesce(k.provider, n.provider),
            next_attempt_at = now() + make_interval(secs => k.pause_s),
            sent_at = CASE WHEN k.state = 'sent' THEN now() ELSE n.sent_at END
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::float8[], $6::text[], $7::text[])
            AS k(id, attempt, state, failures, pause_s, provider, error)
        WHERE n.id = k.id AND n.attempts = k.attempt AND n.state IN ('pending', 'failed')";
    sqlx::query(query)
        .bind(of(done, |done| done.id))
        .bind(of(done, |done| done.attempt))
        .bind(of(done, |done| done.state.word()))
        .bind(of(done, |done| done.failures))
        .bind(of(done, |done| done.pause_s))
        .bind(of(done, |done| done.provider.as_deref()))
        .bind(of(done, |done| done.error.as_deref()))
        .execute(conn)
        .await?;
    Ok(())
}

/// A page, the latest first: of an order, of a state, of a cause.
pub(crate) async fn load_page(
    conn: &mut PgConnection,
    order: Option<Uuid>,
    state: Option<NotificationState>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Notification>, sqlx::Error> {
    let query = "SELECT * FROM shop.notification
        WHERE ($1::uuid IS NULL OR order_id = $1) AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC LIMIT $4";
    sqlx::query_as(query).bind(order).bind(state.map(Word::word)).bind(before).bind(limit).fetch_all(conn).await
}

/// Those of a cause.
pub(crate) async fn of_cause(conn: &mut PgConnection, cause: Uuid) -> Result<Vec<Notification>, sqlx::Error> {
    let query = "SELECT * FROM shop.notification WHERE cause = $1 ORDER BY id";
    sqlx::query_as(query).bind(cause).fetch_all(conn).await
}

/// One of them.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Notification>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM shop.notification WHERE id = $1").bind(id).fetch_optional(conn).await
}

/// Makes one due again that was sent, failed or parked. An attempt under way no longer says what becomes of it.
pub(crate) async fn send_again(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let query = "UPDATE shop.notification
        SET state = 'pending', failures = 0, attempts = attempts + 1, last_error = NULL, next_attempt_at = now()
        WHERE id = $1 AND state <> 'pending'";
    Ok(sqlx::query(query).bind(id).execute(conn).await?.rows_affected() == 1)
}

/// How many are not sent, by state.
pub(crate) async fn count_unsent(conn: &mut PgConnection) -> Result<Vec<NotificationCount>, sqlx::Error> {
    let query = "SELECT state, count(*) FROM shop.notification
        WHERE state IN ('pending', 'failed') GROUP BY state
        UNION ALL SELECT 'parked', count(*) FROM shop.notification WHERE state = 'parked'";
    let rows = sqlx::query(query).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok(NotificationCount { state: read_word(row, "state")?, count: row.try_get("count")? }))
        .collect()
}
