//! Reading one order, or a customer's orders, live and archived.

use std::time::{Duration, Instant};

use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Orders,
    place::{LONGEST_CUSTOMER, within},
};
use crate::{
    engine::{RunId, Time, check::check_time},
    orders::{
        error::Error,
        order::{Order, OrderPage},
        state::OrderState,
        store,
    },
};

/// How much history customers see.
const VISIBLE: Months = Months::new(6);
const DEFAULT_LIMIT: u32 = 50;
const MOST: u32 = 200;

/// Which orders to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct OrderFilter {
    /// Whose orders; without it, everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Orders {
    /// One order, live or archived.
    ///
    /// # Errors
    /// `unknown_order`.
    pub async fn get(&self, id: Uuid) -> Result<Order, Error> {
        let mut conn = self.engine.acquire().await?;
        let order = store::orders::find(&mut conn, id).await?.ok_or(Error::UnknownOrder(id))?;
        Ok(if order.archived { self.complete(&mut conn, order).await? } else { order })
    }

    /// An archived order, whole. Once retention has dropped the history, only the slim row is left.
    pub(in crate::orders) async fn complete(&self, conn: &mut PgConnection, row: Order) -> Result<Order, sqlx::Error> {
        let kept = self.history.find(conn, row.id, row.created_at).await?;
        Ok(match kept {
            Some(kept) => completed(row, kept),
            None => row,
        })
    }

    /// Whose an order is.
    ///
    /// # Errors
    /// `unknown_order`.
    pub async fn customer_of(&self, id: Uuid) -> Result<String, Error> {
        let mut conn = self.engine.acquire().await?;
        store::orders::customer_of(&mut conn, id).await?.ok_or(Error::UnknownOrder(id))
    }

    /// Waits up to `wait` until an order is placed or cancelled, and returns it as it is then.
    ///
    /// # Errors
    /// `unknown_order`.
    pub async fn wait(&self, id: Uuid, wait: Duration) -> Result<Order, Error> {
        let began = Instant::now();
        let (run, _) = self.progress(id).await?;
        let watch = self.engine.watch(run);
        let mut pause = Duration::from_millis(20);
        loop {
            // A placed order's run soon waits, and a worker of this process tells.
            let news = watch.news();
            let (_, state) = self.progress(id).await?;
            let left = wait.saturating_sub(began.elapsed());
            if state.is_decided() || left.is_zero() {
                drop(news);
                return self.get(id).await;
            }
            let _ = tokio::time::timeout(pause.min(left), news).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn progress(&self, id: Uuid) -> Result<(RunId, OrderState), Error> {
        let mut conn = self.engine.acquire().await?;
        store::orders::progress(&mut conn, id).await?.ok_or(Error::UnknownOrder(id))
    }

    /// A page of the orders of the last six months, newest first: a customer's, or everybody's.
    ///
    /// # Errors
    /// `invalid_request` for a limit outside 1 to 200; `bad_cursor`.
    pub async fn list(&self, filter: &OrderFilter) -> Result<OrderPage, Error> {
        let limit = filter.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Error::InvalidRequest(format!("limit is {limit}; it must be 1 to {MOST}")));
        }
        let customer = filter.customer_id.as_deref();
        customer.map_or(Ok(()), |customer| within("customer_id", customer, LONGEST_CUSTOMER))?;
        let before = filter.cursor.as_deref().map(read_cursor).transpose()?;
        let mut conn = self.engine.acquire().await?;
        let since = store::now(&mut conn).await?.checked_sub_months(VISIBLE).unwrap_or(Time::UNIX_EPOCH);
        let (customer, fetched) = (filter.customer_id.as_deref(), i64::from(limit) + 1);
        // Live orders first: one that is archived between the two reads is then in both, and the duplicate is dropped.
        // The other way round it would be in neither.
        let mut items = store::orders::load_page(&mut conn, customer, before, since, fetched).await?;
        let kept = self.history.page(&mut conn, customer, before, since, fetched).await?;
        let ids: Vec<Uuid> = kept.iter().map(|order| order.id).collect();
        let mut rows = store::orders::rows(&mut conn, &ids).await?;
        items.extend(kept.into_iter().map(|kept| match rows.remove(&kept.id) {
            Some(row) if row.archived => completed(row, kept),
            _ => kept,
        }));
        let by_time = |order: &Order| std::cmp::Reverse((customer.map(|_| order.created_at), order.id));
        items.sort_by_key(by_time);
        items.dedup_by_key(|order| order.id);
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Ok(OrderPage { items, next_cursor })
    }
}

/// An archived order: what can still change is on its row, as by a refund after its end; the history has the rest.
fn completed(row: Order, kept: Order) -> Order {
    Order { items: kept.items, delivery: kept.delivery, ..row }
}

fn cursor(order: &Order) -> String {
    format!("{:x}-{}", order.created_at.timestamp_micros(), order.id.simple())
}

fn read_cursor(text: &str) -> Result<(Time, Uuid), Error> {
    let (at, id) = text.split_once('-').ok_or(Error::BadCursor)?;
    let micros = i64::from_str_radix(at, 16).map_err(|_| Error::BadCursor)?;
    let at: DateTime<Utc> = DateTime::from_timestamp_micros(micros).ok_or(Error::BadCursor)?;
    check_time("cursor", at).map_err(|_| Error::BadCursor)?;
    Ok((at, Uuid::try_parse(id).map_err(|_| Error::BadCursor)?))
}
