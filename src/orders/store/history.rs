//! The history store: whole orders, moved out of the live tables. Behind a trait, so that it may live elsewhere.
//!
//! What is here is a partitioned table in the same database: moving is one transaction, and retention drops partitions.

use std::{future::Future, pin::Pin};

use sqlx::PgConnection;
use uuid::Uuid;

use super::orders;
use crate::{engine::Time, orders::order::Order};

/// What a call of the history gives.
pub type HistoryFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

/// Keeps orders that have ended. `conn` is the caller's transaction on the live tables.
pub trait History: Send + Sync + 'static {
    /// Keeps an order, whole. Keeping it again replaces it.
    fn put<'a>(&'a self, conn: &'a mut PgConnection, order: &'a Order) -> HistoryFuture<'a, ()>;

    /// Finds an order that was created at this time.
    fn find<'a>(&'a self, conn: &'a mut PgConnection, id: Uuid, created: Time) -> HistoryFuture<'a, Option<Order>>;

    /// Forgets an order, because it is live again.
    fn forget<'a>(&'a self, conn: &'a mut PgConnection, id: Uuid, created: Time) -> HistoryFuture<'a, ()>;

    /// Orders, newest first, older than `before` and not older than `since`: a customer's by the time of their creation, or
    /// everybody's by their ids.
    fn page<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        customer: Option<&'a str>,
        before: Option<(Time, Uuid)>,
        since: Time,
        limit: i64,
    ) -> HistoryFuture<'a, Vec<Order>>;

    /// Drops what is older than `before` in whole months; gives how many.
    fn drop_before<'a>(&'a self, conn: &'a mut PgConnection, before: Time) -> HistoryFuture<'a, i32>;
}

/// The history in `shop.order_archive`, partitioned by month.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresHistory;

impl History for PostgresHistory {
    fn put<'a>(&'a self, conn: &'a mut PgConnection, order: &'a Order) -> HistoryFuture<'a, ()> {
        Box::pin(async move {
            let query = "SELECT shop.ensure_archive_month($1)";
            sqlx::query(query).bind(order.created_at).execute(&mut *conn).await?;
            let query = "INSERT INTO shop.order_archive (id, customer_id, created_at, archived_at, doc)
                VALUES ($1, $2, $3, shop.now(), $4)
                ON CONFLICT (id, created_at) DO UPDATE SET archived_at = excluded.archived_at, doc = excluded.doc";
            sqlx::query(query)
                .bind(order.id)
                .bind(&order.customer_id)
                .bind(order.created_at)
                .bind(sqlx::types::Json(order))
                .execute(conn)
                .await?;
            Ok(())
        })
    }

    fn find<'a>(&'a self, conn: &'a mut PgConnection, id: Uuid, created: Time) -> HistoryFuture<'a, Option<Order>> {
        Box::pin(async move {
            let query = "SELECT doc FROM shop.order_archive WHERE id = $1 AND created_at = $2";
            let doc: Option<sqlx::types::Json<Order>> =
                sqlx::query_scalar(query).bind(id).bind(created).fetch_optional(conn).await?;
            Ok(doc.map(|doc| doc.0))
        })
    }

    fn forget<'a>(&'a self, conn: &'a mut PgConnection, id: Uuid, created: Time) -> HistoryFuture<'a, ()> {
        Box::pin(async move {
            let query = "DELETE FROM shop.order_archive WHERE id = $1 AND created_at = $2";
            sqlx::query(query).bind(id).bind(created).execute(conn).await?;
            Ok(())
        })
    }

    fn page<'a>(
        &'a self,
        conn: &'a mut PgConnection,
        customer: Option<&'a str>,
        before: Option<(Time, Uuid)>,
        since: Time,
        limit: i64,
    ) -> HistoryFuture<'a, Vec<Order>> {
        Box::pin(async move {
            let of_customer = "SELECT doc FROM shop.order_archive
                WHERE customer_id = $1 AND created_at >= $4
                  AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
                ORDER BY created_at DESC, id DESC LIMIT $5";
            let of_all = "SELECT doc FROM shop.order_archive
                WHERE $1::text IS NULL AND created_at >= $4 AND ($2::timestamptz IS NULL OR id < $3)
                ORDER BY id DESC LIMIT $5";
            let query = if customer.is_some() { of_customer } else { of_all };
            let (at, id) = before.unzip();
            let docs: Vec<sqlx::types::Json<Order>> = sqlx::query_scalar(query)
                .bind(customer)
                .bind(at)
                .bind(id)
                .bind(since)
                .bind(limit)
                .fetch_all(conn)
                .await?;
            Ok(docs.into_iter().map(|doc| doc.0).collect())
        })
    }

    fn drop_before<'a>(&'a self, conn: &'a mut PgConnection, before: Time) -> HistoryFuture<'a, i32> {
        Box::pin(
            async move { sqlx::query_scalar("SELECT shop.drop_archive_months($1)").bind(before).fetch_one(conn).await },
        )
    }
}

/// Moves an order that is locked to the history; a slim row stays.
pub(crate) async fn archive(conn: &mut PgConnection, history: &dyn History, order: &Order) -> Result<(), sqlx::Error> {
    let whole = Order { archived: true, items: orders::load_lines(conn, order.id).await?, ..order.clone() };
    history.put(conn, &whole).await?;
    sqlx::query(include_str!("sql/archive_lines.sql")).bind(order.id).execute(&mut *conn).await?;
    let query = "UPDATE shop.orders SET archived_at = shop.now(), address = NULL, lat = NULL, lon = NULL,
        deliver_at = NULL WHERE id = $1";
    sqlx::query(query).bind(order.id).execute(conn).await?;
    Ok(())
}

/// Makes an archived order that is locked live again: a late payment needs its lines. Gives it as it then is.
pub(crate) async fn restore(conn: &mut PgConnection, history: &dyn History, slim: Order) -> Result<Order, sqlx::Error> {
    let Some(whole) = history.find(conn, slim.id, slim.created_at).await? else { return Ok(slim) };
    let (skus, quantities, prices) = orders::to_columns(&whole.items);
    let query = "INSERT INTO shop.order_items (order_id, sku, quantity, price)
        SELECT $1, k.sku, k.quantity, k.price FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS k(sku, quantity, price)
        ON CONFLICT DO NOTHING";
    sqlx::query(query).bind(slim.id).bind(skus).bind(quantities).bind(prices).execute(&mut *conn).await?;
    let query = "UPDATE shop.orders SET archived_at = NULL WHERE id = $1";
    sqlx::query(query).bind(slim.id).execute(&mut *conn).await?;
    sqlx::query("DELETE FROM shop.order_seller WHERE order_id = $1").bind(slim.id).execute(&mut *conn).await?;
    history.forget(conn, slim.id, slim.created_at).await?;
    Ok(Order { delivery: whole.delivery, items: whole.items, archived: false, ..slim })
}
