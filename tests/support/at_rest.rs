//! At rest: an order that waits for fulfilment and for nothing else, or a cancelled one whose run has ended. And what has to be
//! true of the money then.

use sqlx::PgPool;

use super::shop::Simulator;

const NOT_AT_REST: &str = include_str!("not_at_rest.sql");

/// What is not at rest, a line each.
pub async fn not_at_rest(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(NOT_AT_REST).fetch_all(pool).await
}

/// Whether all is at rest and no money is on its way. Money counts as unrest: it has to arrive and be dealt with.
pub async fn all_rest(pool: &PgPool, simulator: &Simulator) -> Result<bool, sqlx::Error> {
    // Only asked when all orders rest: `settle` hurries money along, and the gateway's own pace is part of the test.
    Ok(not_at_rest(pool).await?.is_empty()
        && simulator.sim("POST", "settle", None).await["settled"] == 0
        && is_booked(pool, simulator).await?)
}

/// Whether what the gateway captured for our orders is booked. A webhook may still be on its way when no order is.
async fn is_booked(pool: &PgPool, simulator: &Simulator) -> Result<bool, sqlx::Error> {
    let theirs = simulator.moved().await;
    let ours: Vec<(String, i64)> = sqlx::query_as("SELECT id::text, captured FROM shop.orders").fetch_all(pool).await?;
    let captured = |id: &String| theirs.get(id).map_or(0, |moved| moved.captured);
    Ok(ours.iter().all(|(id, booked)| captured(id) == *booked) && not_at_rest(pool).await?.is_empty())
}

/// No order was charged twice, and each order's books are the gateway's. Gives the orders of the gateway's that are not ours.
pub async fn ledgers_agree(pool: &PgPool, simulator: &Simulator) -> Vec<String> {
    let mut theirs = simulator.moved().await;
    let query = "SELECT id::text, captured, refunded FROM shop.orders";
    let ours: Vec<(String, i64, i64)> = sqlx::query_as(query).fetch_all(pool).await.expect("reads");
    for (id, captured, refunded) in ours {
        let moved = theirs.remove(&id).unwrap_or_default();
        assert!(moved.charges <= 1, "order {id} was charged {} times", moved.charges);
        assert_eq!((moved.captured, moved.refunded), (captured, refunded), "order {id}: theirs and ours");
    }
    theirs.into_keys().collect()
}
