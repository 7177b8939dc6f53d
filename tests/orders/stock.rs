//! Promise: stock adds up under contention: the last unit has one buyer, lock order prevents deadlocks, and a reservation
//! moves once, however many try.

use backstitch::orders::state::{CancelBy, OrderState};
use uuid::Uuid;

use crate::{
    shop::Shop,
    support::{Session, shop::order_request, wait_for_lock},
};

const HOLD: &str = include_str!("../../src/orders/store/sql/reserve.sql");
const LOCK_LINES: &str = include_str!("../../src/orders/store/sql/lock_lines.sql");
const LOCK_HELD: &str = include_str!("../../src/orders/store/sql/lock_reserved.sql");
const COMMIT: &str = include_str!("../../src/orders/store/sql/commit_reservations.sql");
const RELEASE: &str = include_str!("../../src/orders/store/sql/release_reservations.sql");

#[tokio::test]
async fn the_last_unit_goes_to_one_buyer() {
    let shop = Shop::open().await;
    shop.stock("tea", 1).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(shop.order("tok_ok", 1).await);
    }
    let mut placed = 0;
    for id in ids {
        let order = shop.until(id, "it is decided", |order| order.state.is_decided()).await;
        let moved = shop.moved(id).await;
        if order.state == OrderState::Placed {
            placed += 1;
            assert_eq!(moved, (1000, 0));
        } else {
            assert_eq!((order.cancel_reason.map(|r| format!("{r:?}")), moved), (Some("OutOfStock".into()), (0, 0)));
        }
    }
    assert_eq!((placed, shop.shelf("tea").await), (1, (0, 0)));
}

/// Puts the items into the orders in opposite ways round, and forces the second to wait for the first.
#[tokio::test]
async fn orders_over_the_same_items_never_deadlock() {
    let shop = Shop::without_worker().await;
    shop.stock("apple", 10).await;
    shop.stock("zebra", 10).await;
    let place = async |items: &[(&str, i64)]| {
        shop.orders.place(&order_request("tok_ok", items), None).await.expect("an order").order.id
    };
    let one = place(&[("apple", 1), ("zebra", 1)]).await;
    let other = place(&[("zebra", 1), ("apple", 1)]).await;
    let mut first = shop.pool.begin().await.expect("begins");
    let locked: Vec<(String, i64, i64)> =
        sqlx::query_as(LOCK_LINES).bind(one).fetch_all(&mut *first).await.expect("locks");
    assert_eq!(locked.iter().map(|(sku, ..)| sku.as_str()).collect::<Vec<_>>(), ["apple", "zebra"]);
    let pool = shop.pool.clone();
    let second = tokio::spawn(async move {
        let mut tx = pool.begin().await.expect("begins");
        sqlx::query("SET LOCAL application_name = 'second'").execute(&mut *tx).await.expect("names");
        let seen: Vec<(String, i64, i64)> =
            sqlx::query_as(LOCK_LINES).bind(other).fetch_all(&mut *tx).await.expect("locks after a wait");
        sqlx::query(HOLD).bind(other).execute(&mut *tx).await.expect("holds");
        tx.commit().await.expect("commits");
        seen
    });
    wait_for_lock(&shop.pool, Session::Application("second")).await;
    sqlx::query(HOLD).bind(one).execute(&mut *first).await.expect("holds");
    first.commit().await.expect("commits");
    let seen = second.await.expect("it ends");
    assert!(seen.iter().all(|(_, _, available)| *available == 9), "it sees what the first one left: {seen:?}");
    assert_eq!((shop.shelf("apple").await, shop.shelf("zebra").await), ((10, 2), (10, 2)));
}

async fn held(shop: &Shop) -> Uuid {
    let id = shop.order("tok_ok", 2).await;
    let mut tx = shop.pool.begin().await.expect("begins");
    sqlx::query(LOCK_LINES).bind(id).execute(&mut *tx).await.expect("locks");
    sqlx::query(HOLD).bind(id).execute(&mut *tx).await.expect("holds");
    tx.commit().await.expect("commits");
    id
}

async fn moves(shop: &Shop, statement: &'static str, id: Uuid) -> i64 {
    let mut tx = shop.pool.begin().await.expect("begins");
    sqlx::query(LOCK_HELD).bind(id).execute(&mut *tx).await.expect("locks");
    let moved: i64 = sqlx::query_scalar(statement).bind(id).fetch_one(&mut *tx).await.expect("moves");
    tx.commit().await.expect("commits");
    moved
}

#[tokio::test]
async fn three_simultaneous_releases_release_once() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let id = held(&shop).await;
    assert_eq!(shop.shelf("tea").await, (10, 2));
    let (a, b, c) = tokio::join!(moves(&shop, RELEASE, id), moves(&shop, RELEASE, id), moves(&shop, RELEASE, id));
    assert_eq!(a + b + c, 1);
    assert_eq!(shop.shelf("tea").await, (10, 0));
    assert_eq!(moves(&shop, COMMIT, id).await, 0, "what was released is not committed");
    assert_eq!(shop.shelf("tea").await, (10, 0));
}

#[tokio::test]
async fn simultaneous_commit_and_release_keep_stock_right() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    for _ in 0..5 {
        let id = held(&shop).await;
        let (committed, released) = tokio::join!(moves(&shop, COMMIT, id), moves(&shop, RELEASE, id));
        // The release came after the commit and restocked it, or before and the commit found nothing.
        assert_eq!((released, (0..=1).contains(&committed)), (1, true));
        assert_eq!(shop.shelf("tea").await, (10, 0));
    }
}

#[tokio::test]
async fn a_cancelled_order_is_restocked_once() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let id = shop.order("tok_ok", 4).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    assert_eq!(shop.shelf("tea").await, (6, 0));
    shop.cancel(id, CancelBy::System).await.expect("accepted");
    shop.until_run(id, "completed").await;
    assert_eq!(shop.shelf("tea").await, (10, 0));
    assert_eq!(moves(&shop, RELEASE, id).await, 0);
    assert_eq!(shop.shelf("tea").await, (10, 0));
}
