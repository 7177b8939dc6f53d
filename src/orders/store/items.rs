//! Items: what is sold, at what price, and how much of it is there.

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::orders::{events::stock_event, order::Item};

fn read_item(row: &PgRow) -> Result<Item, sqlx::Error> {
    let (on_hand, held): (i64, i64) = (row.try_get("on_hand")?, row.try_get("held")?);
    Ok(Item {
        sku: row.try_get("sku")?,
        name: row.try_get("name")?,
        price: row.try_get("price")?,
        currency: row.try_get("currency")?,
        on_hand,
        held,
        available: on_hand - held,
        seller: None,
    })
}

/// Makes an item, or sets all of it but its reservations. `None`: there would be less on hand than orders hold.
pub(crate) async fn put(
    conn: &mut PgConnection,
    sku: &str,
    name: &str,
    price: i64,
    currency: &str,
    on_hand: i64,
) -> Result<Option<Item>, sqlx::Error> {
    let query = "INSERT INTO shop.items (sku, name, price, currency, on_hand) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (sku) DO UPDATE SET name = $2, price = $3, currency = $4, on_hand = $5, updated_at = shop.now()
        WHERE items.held <= $5
        RETURNING sku, name, price, currency, on_hand, held";
    let put = sqlx::query(query).bind(sku).bind(name).bind(price).bind(currency).bind(on_hand);
    put.fetch_optional(conn).await?.as_ref().map(read_item).transpose()
}

/// An item.
pub(crate) async fn find(conn: &mut PgConnection, sku: &str) -> Result<Option<Item>, sqlx::Error> {
    let query = "SELECT sku, name, price, currency, on_hand, held FROM shop.items WHERE sku = $1";
    sqlx::query(query).bind(sku).fetch_optional(conn).await?.as_ref().map(read_item).transpose()
}

/// The same, locked until the end of the transaction.
pub(crate) async fn lock(conn: &mut PgConnection, sku: &str) -> Result<Option<Item>, sqlx::Error> {
    sqlx::query(include_str!("sql/lock_item.sql")).bind(sku).execute(&mut *conn).await?;
    find(conn, sku).await
}

/// Emits the event of an item, locked before it was changed, of which something or nothing is left now as it was not before.
pub(crate) async fn emit_crossing(
    conn: &mut PgConnection,
    before: Option<&Item>,
    after: &Item,
) -> Result<(), sqlx::Error> {
    let Some((event_type, dataschema, data)) = before.and_then(|before| stock_event(before, after)) else {
        return Ok(());
    };
    let query = "INSERT INTO shop.event (id, type, subject, dataschema, data)
        VALUES (shop.new_event_id(), $1, $2, $3, $4)";
    let query = sqlx::query(query).bind(event_type).bind(&after.sku).bind(dataschema).bind(data);
    query.execute(conn).await?;
    Ok(())
}

/// Those of these items that exist. Until the transaction ends nobody else reads any for these customers.
pub(crate) async fn find_all(
    conn: &mut PgConnection,
    skus: &[&str],
    customers: &[&str],
) -> Result<Vec<Item>, sqlx::Error> {
    let query = sqlx::query(include_str!("sql/items_of_customers.sql")).bind(skus).bind(customers);
    query.fetch_all(conn).await?.iter().map(read_item).collect()
}

/// A page of items by sku, from after `after` on.
pub(crate) async fn load_page(conn: &mut PgConnection, after: &str, limit: i64) -> Result<Vec<Item>, sqlx::Error> {
    let query = "SELECT sku, name, price, currency, on_hand, held FROM shop.items WHERE sku > $1 ORDER BY sku LIMIT $2";
    sqlx::query(query).bind(after).bind(limit).fetch_all(conn).await?.iter().map(read_item).collect()
}

/// Sets an item's reserved units to the sum of its reservations.
pub(crate) async fn recount(conn: &mut PgConnection, sku: &str) -> Result<(), sqlx::Error> {
    let Some(before) = lock(conn, sku).await? else { return Ok(()) };
    let query = "UPDATE shop.items SET held =
            (SELECT coalesce(sum(quantity), 0) FROM shop.reservations WHERE sku = $1 AND state = 'held')
        WHERE sku = $1";
    sqlx::query(query).bind(sku).execute(&mut *conn).await?;
    let after = find(conn, sku).await?.unwrap_or_else(|| before.clone());
    emit_crossing(conn, Some(&before), &after).await
}
