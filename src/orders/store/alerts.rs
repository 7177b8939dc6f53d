//! Alerts: what operators know, messages until they are sent, and what of the shop's records is wrong.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use crate::{
    engine::Time,
    orders::alerts::model::{AlertMessage, ClaimedMessage, Known},
};

impl FromRow<'_, PgRow> for Known {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            key: row.try_get("key")?,
            title: row.try_get("title")?,
            path: row.try_get("path")?,
            since: row.try_get("since")?,
            said_at: row.try_get("said_at")?,
            said_count: row.try_get("said_count")?,
            gone_since: row.try_get("gone_since")?,
            is_over: row.try_get("is_over")?,
        })
    }
}

/// When it was last decided what is news, and the time.
pub(crate) async fn decided_at(conn: &mut PgConnection) -> Result<(Time, Time), sqlx::Error> {
    sqlx::query_as("SELECT decided_at, shop.now() FROM shop.alert_turn").fetch_one(conn).await
}

/// The same; nobody else decides until the transaction ends.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<Time, sqlx::Error> {
    sqlx::query_scalar(include_str!("sql/lock_alert_turn.sql")).fetch_one(conn).await
}

/// What operators know, by key.
pub(crate) async fn known(conn: &mut PgConnection) -> Result<Vec<Known>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM shop.alert ORDER BY key COLLATE \"C\"").fetch_all(conn).await
}

/// When messages were made, each once however many it was for.
pub(crate) async fn told_since(conn: &mut PgConnection, since: Time) -> Result<Vec<Time>, sqlx::Error> {
    let query = "SELECT min(created_at) FROM shop.alert_message WHERE created_at > $1 GROUP BY id";
    sqlx::query_scalar(query).bind(since).fetch_all(conn).await
}

/// Writes what operators know now, all of it.
pub(crate) async fn save(conn: &mut PgConnection, known: &[Known]) -> Result<(), sqlx::Error> {
    fn of<'a, T>(known: &'a [Known], read: impl Fn(&'a Known) -> T) -> Vec<T> {
        known.iter().map(read).collect()
    }
    let keys = of(known, |known| known.key.as_str());
    sqlx::query("DELETE FROM shop.alert WHERE key <> ALL ($1)").bind(&keys).execute(&mut *conn).await?;
    let query = "INSERT INTO shop.alert (key, title, path, since, said_at, said_count, gone_since, is_over)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[],
            $7::timestamptz[], $8::boolean[])
        ON CONFLICT (key) DO UPDATE SET title = excluded.title, path = excluded.path, since = excluded.since,
            said_at = excluded.said_at, said_count = excluded.said_count, gone_since = excluded.gone_since,
            is_over = excluded.is_over";
    sqlx::query(query)
        .bind(&keys)
        .bind(of(known, |known| known.title.as_str()))
        .bind(of(known, |known| known.path.as_str()))
        .bind(of(known, |known| known.since))
        .bind(of(known, |known| known.said_at))
        .bind(of(known, |known| known.said_count))
        .bind(of(known, |known| known.gone_since))
        .bind(of(known, |known| known.is_over))
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes messages that are due at once.
pub(crate) async fn insert_messages(
    conn: &mut PgConnection,
    now: Time,
    messages: &[AlertMessage],
) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO shop.alert_message (id, target, subject, text, body, created_at, next_attempt_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6)";
    for AlertMessage { id, target, subject, text, body } in messages {
        let query = sqlx::query(query).bind(id).bind(target).bind(subject).bind(text).bind(body).bind(now);
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Notes that it was decided, and forgets old messages; gives how many of those were never sent.
pub(crate) async fn end_turn(conn: &mut PgConnection, now: Time) -> Result<u64, sqlx::Error> {
    sqlx::query("UPDATE shop.alert_turn SET decided_at = $1").bind(now).execute(&mut *conn).await?;
    let query = "DELETE FROM shop.alert_message WHERE sent_at IS NOT NULL AND created_at < $1 - interval '7 days'";
    sqlx::query(query).bind(now).execute(&mut *conn).await?;
    let query = "DELETE FROM shop.alert_message WHERE sent_at IS NULL AND created_at < $1 - interval '1 day'";
    Ok(sqlx::query(query).bind(now).execute(conn).await?.rows_affected())
}

/// Takes what is due for these targets, for so many seconds.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    targets: &[&str],
    limit: i64,
    seconds: f64,
) -> Result<Vec<ClaimedMessage>, sqlx::Error> {
    let query = include_str!("sql/claim_alert_messages.sql");
    let rows = sqlx::query(query).bind(targets).bind(limit).bind(seconds).fetch_all(conn).await?;
    let read = |row: &PgRow| {
        let message = AlertMessage {
            id: row.try_get("id")?,
            target: row.try_get("target")?,
            subject: row.try_get("subject")?,
            text: row.try_get("text")?,
            body: row.try_get("body")?,
        };
        Ok(ClaimedMessage { message, attempt: row.try_get("attempts")? })
    };
    rows.iter().map(read).collect()
}

/// Records that a message was taken.
pub(crate) async fn record_sent(conn: &mut PgConnection, claimed: &ClaimedMessage) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.alert_message SET sent_at = shop.now(), last_error = NULL
        WHERE id = $1 AND target = $2 AND sent_at IS NULL";
    let AlertMessage { id, target, .. } = &claimed.message;
    sqlx::query(query).bind(id).bind(target).execute(conn).await?;
    Ok(())
}

/// Records that it was not, unless there was a later attempt, and when it is tried again.
pub(crate) async fn record_failed(
    conn: &mut PgConnection,
    claimed: &ClaimedMessage,
    error: &str,
    pause_s: f64,
) -> Result<(), sqlx::Error> {
    let query = "UPDATE shop.alert_message
        SET last_error = $4, next_attempt_at = shop.now() + make_interval(secs => $5)
        WHERE id = $1 AND target = $2 AND attempts = $3 AND sent_at IS NULL";
    let AlertMessage { id, target, .. } = &claimed.message;
    let query = sqlx::query(query).bind(id).bind(target).bind(claimed.attempt).bind(error).bind(pause_s);
    query.execute(conn).await?;
    Ok(())
}

/// Messages that nobody has taken yet.
pub(crate) async fn count_unsent(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM shop.alert_message WHERE sent_at IS NULL").fetch_one(conn).await
}

/// How many notifications are parked, and since when the oldest is there; none where none is.
pub(crate) async fn parked_notifications(conn: &mut PgConnection) -> Result<Option<(i64, Time)>, sqlx::Error> {
    let query = "SELECT count(*), min(created_at) FROM shop.notification WHERE state = 'parked' HAVING count(*) > 0";
    sqlx::query_as(query).fetch_optional(conn).await
}

/// Open differences: their kind, how many, and since when the oldest is there.
pub(crate) async fn open_differences(conn: &mut PgConnection) -> Result<Vec<(String, i64, Time)>, sqlx::Error> {
    let query = "SELECT kind, count(*), min(first_seen) FROM shop.difference WHERE state = 'open'
        GROUP BY kind ORDER BY kind";
    sqlx::query_as(query).fetch_all(conn).await
}
