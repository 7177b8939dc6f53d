//! Events: emitting, numbering, reading, forgetting; and how far each sink has got.

mod sinks;

use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

pub(crate) use self::sinks::{
    advance, fail, find_sink, forget_sink, give_up, lag, lease, list_sinks, lock_cursor, register, skip,
};
use super::{
    schema::Schema,
    transaction::{Transaction, begin_bounded},
};
use crate::engine::{
    core::numbering::{Gap, Head, Numbering, Visible, number},
    error::Error,
    outbox::NewEvent,
    read_models::Event,
};

/// Events that a turn numbers at most, late ones and others apart.
const NUMBERED_AT_MOST: i64 = 2_000;
/// A turn that takes longer is given up: others wait for its lock.
const NUMBERED_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
/// No event has a higher number.
const LAST_NUMBER: i64 = 1 << 62;
/// Events that one read with a filter looks through at most.
const LOOKED_THROUGH: i64 = 10_000;

/// Writes events on the caller's connection, in their order.
pub(crate) async fn emit(schema: &Schema, conn: &mut PgConnection, events: &[NewEvent]) -> Result<(), Error> {
    fn of<'a, T>(events: &'a [NewEvent], read: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
        events.iter().map(read).collect()
    }
    let query = "INSERT INTO {schema}.event (id, type, subject, dataschema, data, at)
        SELECT id, type, subject, dataschema, data::jsonb, (SELECT {schema}.now())
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS k (id, type, subject, dataschema, data)";
    sqlx::query(schema.sql(query))
        .bind(of(events, |event| event.id))
        .bind(of(events, |event| &*event.event_type))
        .bind(of(events, |event| event.subject.as_str()))
        .bind(of(events, |event| &*event.dataschema))
        .bind(of(events, |event| event.data.get()))
        .execute(conn)
        .await?;
    Ok(())
}

/// Numbers what has been committed. Gives how many events got a number, and whether there may be more.
pub(crate) async fn number_events(schema: &Schema, pool: &PgPool) -> Result<(i64, bool), Error> {
    let mut conn = super::Lent::of(pool).await?;
    // The highest position, from the end of its index. EXISTS would read all events to find none behind the head.
    let query = "SELECT coalesce((SELECT position FROM {schema}.event ORDER BY position DESC LIMIT 1)
            > (SELECT high FROM {schema}.event_head), false)
        OR EXISTS (SELECT FROM {schema}.event_gap)";
    let may_be: bool = sqlx::query_scalar(schema.sql(query)).fetch_one(&mut *conn).await?;
    conn.give_back();
    if !may_be {
        return Ok((0, false));
    }
    let mut tx = begin_bounded(pool, NUMBERED_WITHIN).await?;
    let Some(head) = lock_head(schema, &mut tx).await? else { return end(tx).await };
    let (gaps, visible) = see(schema, &mut tx, head).await?;
    let numbering = number(head, &gaps, &visible);
    if numbering.is_empty() && numbering.head == head {
        return end(tx).await;
    }
    write(schema, &mut tx, &numbering).await?;
    tx.commit().await?;
    let more = visible.late_cut || visible.fresh.len() as i64 == NUMBERED_AT_MOST;
    Ok((numbering.count(head), more))
}

/// Ends a turn that has nothing to write, or whose work another process does.
async fn end(tx: Transaction) -> Result<(i64, bool), Error> {
    tx.rollback().await?;
    Ok((0, false))
}

/// None: another process is numbering.
async fn lock_head(schema: &Schema, conn: &mut PgConnection) -> Result<Option<Head>, Error> {
    let query = include_str!("../sql/lock_event_head.sql");
    let row: Option<(i64, i64)> = sqlx::query_as(schema.sql(query)).fetch_optional(conn).await?;
    Ok(row.map(|(last, high)| Head { last, high }))
}

/// What can be seen now: one statement, and so one snapshot, that is younger than the lock.
async fn see(schema: &Schema, conn: &mut PgConnection, head: Head) -> Result<(Vec<Gap>, Visible), Error> {
    let query = include_str!("../sql/visible_events.sql");
    let row = sqlx::query(schema.sql(query)).bind(head.high).bind(NUMBERED_AT_MOST).fetch_one(conn).await?;
    let (starts, stops): (Vec<i64>, Vec<i64>) = (row.try_get("starts")?, row.try_get("stops")?);
    let untils: Vec<i64> = row.try_get("untils")?;
    let gaps = starts.into_iter().zip(stops).zip(untils);
    let gaps = gaps.map(|((start, stop), until)| Gap { start, stop, until }).collect();
    let late: Vec<i64> = row.try_get("late")?;
    let visible = Visible {
        late_cut: late.len() as i64 == NUMBERED_AT_MOST,
        late,
        fresh: row.try_get("fresh")?,
        oldest_open: row.try_get("oldest_open")?,
        not_begun: row.try_get("not_begun")?,
    };
    Ok((gaps, visible))
}

async fn write(schema: &Schema, conn: &mut PgConnection, numbering: &Numbering) -> Result<(), Error> {
    let Numbering { head, ranges, closed, gaps } = numbering;
    sqlx::query(schema.sql(include_str!("../sql/number_events.sql")))
        .bind(head.last)
        .bind(head.high)
        .bind(ranges.iter().map(|range| range.first).collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.last).collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.start).collect::<Vec<_>>())
        .bind(closed)
        .bind(gaps.iter().map(|gap| gap.start).collect::<Vec<_>>())
        .bind(gaps.iter().map(|gap| gap.stop).collect::<Vec<_>>())
        .bind(gaps.iter().map(|gap| gap.until).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Up to `limit` events behind a number, and the number up to which all was looked at; none where that is the newest.
pub(crate) async fn read_after(
    schema: &Schema,
    conn: &mut PgConnection,
    after: i64,
    (event_type, subject): (Option<&str>, Option<&str>),
    limit: i64,
) -> Result<(Vec<Event>, Option<i64>), Error> {
    // Behind the last that can be; sums with it don't overflow.
    let after = after.min(LAST_NUMBER);
    let rows = if let Some(subject) = subject {
        // One more than asked for tells whether that is all.
        let query = include_str!("../sql/events_of_subject.sql");
        let query = sqlx::query(schema.sql(query)).bind(subject).bind(after).bind(event_type);
        query.bind(limit.saturating_add(1)).fetch_all(conn).await?
    } else {
        let query = sqlx::query(schema.sql(include_str!("../sql/events_after.sql"))).bind(after);
        let query = query.bind(event_type).bind(limit.saturating_add(1)).bind(LOOKED_THROUGH);
        query.fetch_all(conn).await?
    };
    let mut events = rows.iter().filter(|row| row.try_get("id").is_ok_and(|id: Option<Uuid>| id.is_some()));
    let mut found = Vec::new();
    for row in events.by_ref().take(usize::try_from(limit).unwrap_or_default()) {
        found.push(read_event(schema, row)?);
    }
    if events.next().is_some() {
        let last = found.last().map(|event: &Event| event.sequence);
        return Ok((found, last));
    }
    // A row without an event says how far the look went when it went no further.
    let stopped = rows.iter().find(|row| row.try_get("id").is_ok_and(|id: Option<Uuid>| id.is_none()));
    let looked_to = stopped.map(|row| row.try_get("sequence")).transpose()?;
    Ok((found, looked_to))
}

fn read_event(schema: &Schema, row: &PgRow) -> Result<Event, sqlx::Error> {
    Ok(Event {
        specversion: "1.0".to_owned(),
        id: row.try_get("id")?,
        source: format!("urn:backstitch:{schema}"),
        event_type: row.try_get("type")?,
        subject: row.try_get("subject")?,
        time: row.try_get("at")?,
        datacontenttype: "application/json".to_owned(),
        dataschema: row.try_get("dataschema")?,
        sequence: row.try_get("sequence")?,
        data: row.try_get("data")?,
    })
}

/// The number of the newest event.
pub(crate) async fn newest(schema: &Schema, conn: &mut PgConnection) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(schema.sql("SELECT last FROM {schema}.event_head")).fetch_one(conn).await?)
}

/// Forgets a bounded number of events that have been kept for so long and that each sink has got, and sinks that nobody has looked
/// after for as long. Whether something went.
pub(crate) async fn forget(schema: &Schema, conn: &mut PgConnection, keep_s: f64) -> Result<bool, Error> {
    let sinks = "DELETE FROM {schema}.event_sink WHERE seen_at < clock_timestamp() - make_interval(secs => $1)";
    sqlx::query(schema.sql(sinks)).bind(keep_s).execute(&mut *conn).await?;
    let gone: i64 =
        sqlx::query_scalar(schema.sql(include_str!("../sql/forget_events.sql"))).bind(keep_s).fetch_one(conn).await?;
    Ok(gone > 0)
}
