//! Promise: stock adds up under contention: the last unit has one buyer, lock order prevents deadlocks, and a reservation
//! moves once, however many try.

use backstitch::{
    engine::WorkerConfig,
    orders::state::{CancelBy, OrderState},
};
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

/// An order's line: order, item, wanted, available.
type Line = (Uuid, String, i64, i64);

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

/// Groups of two workers over the same items: nobody waits in a circle, and all that there is is sold, once.
#[tokio::test]
async fn groups_of_orders_share_out_the_stock_without_deadlock() {
    let shop = Shop::open().await;
    tokio::spawn(shop.engine.worker(WorkerConfig::default()).run(std::future::pending()));
    for sku in ["apple", "tea", "zebra"] {
        shop.stock(sku, 40).await;
    }
    let items: [&[(&str, i64)]; 3] =
        [&[("apple", 1), ("zebra", 1)], &[("zebra", 1), ("tea", 1)], &[("tea", 1), ("apple", 1)]];
    let place = async |n: usize| {
        let request = order_request("tok_ok", items[n % 3]);
        shop.orders.place(&request, None).await.expect("an order").order.id
    };
    let ids: Vec<Uuid> = futures_util::future::join_all((0..90).map(place)).await;
    let mut placed = 0;
    for id in ids {
        let order = shop.until(id, "it is decided", |order| order.state.is_decided()).await;
        placed += i64::from(order.state == OrderState::Placed);
    }
    let mut left = 0;
    for sku in ["apple", "tea", "zebra"] {
        let (on_hand, held) = shop.shelf(sku).await;
        left += on_hand;
        assert_eq!(held, 0, "{sku}");
    }
    assert!(placed >= 50 && 120 - left == 2 * placed, "{placed} placed, {left} left");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(&shop.pool).await.expect("reads");
    assert_eq!(deadlocks, 0);
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
    let locked: Vec<Line> = sqlx::query_as(LOCK_LINES).bind(vec![one]).fetch_all(&mut *first).await.expect("locks");
    assert_eq!(locked.iter().map(|(_, sku, ..)| sku.as_str()).collect::<Vec<_>>(), ["apple", "zebra"]);
    let pool = shop.pool.clone();
    let second = tokio::spawn(async move {
        let mut tx = pool.begin().await.expect("begins");
        sqlx::query("SET LOCAL application_name = 'second'").execute(&mut *tx).await.expect("names");
        let seen: Vec<Line> =
            sqlx::query_as(LOCK_LINES).bind(vec![other]).fetch_all(&mut *tx).await.expect("locks after a wait");
        sqlx::query(HOLD).bind(vec![other]).execute(&mut *tx).await.expect("holds");
        tx.commit().await.expect("commits");
        seen
    });
    wait_for_lock(&shop.pool, Session::Application("second")).await;
    sqlx::query(HOLD).bind(vec![one]).execute(&mut *first).await.expect("holds");
    first.commit().await.expect("commits");
    let seen = second.await.expect("it ends");
    assert!(seen.iter().all(|(.., available)| *available == 9), "it sees what the first one left: {seen:?}");
    assert_eq!((shop.shelf("apple").await, shop.shelf("zebra").await), ((10, 2), (10, 2)));
}

async fn held(shop: &Shop) -> Uuid {
    let id = shop.order("tok_ok", 2).await;
    let mut tx = shop.pool.begin().await.expect("begins");
    sqlx::query(LOCK_LINES).bind(vec![id]).execute(&mut *tx).await.expect("locks");
    sqlx::query(HOLD).bind(vec![id]).execute(&mut *tx).await.expect("holds");
    tx.commit().await.expect("commits");
    id
}

/// How many reservations of an order a statement moves.
async fn moves(shop: &Shop, statement: &'static str, id: Uuid) -> i64 {
    let mut tx = shop.pool.begin().await.expect("begins");
    sqlx::query(LOCK_HELD).bind(vec![id]).execute(&mut *tx).await.expect("locks");
    let released = sqlx::query(statement).bind(vec![id]).fetch_all(&mut *tx).await.expect("moves").len() as i64;
    let committed = "SELECT count(*) FROM shop.reservations WHERE order_id = $1 AND state = 'committed'";
    let committed: i64 = sqlx::query_scalar(committed).bind(id).fetch_one(&mut *tx).await.expect("counts");
    tx.commit().await.expect("commits");
    if statement == COMMIT { committed } else { released }
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

/// What keeps an order from holding a line twice, should a lock ever be forgotten.
#[tokio::test]
async fn a_second_active_reservation_of_a_line_is_refused() {
    let shop = Shop::without_worker().await;
    shop.stock("tea", 10).await;
    let id = held(&shop).await;
    let hold = async || sqlx::query(HOLD).bind(vec![id]).execute(&shop.pool).await;
    let again = hold().await.expect_err("it holds the line");
    assert!(again.to_string().contains("reservations_pkey"), "{again}");
    let release = "UPDATE shop.reservations SET state = 'released' WHERE order_id = $1";
    sqlx::query(release).bind(id).execute(&shop.pool).await.expect("releases");
    hold().await.expect("a new round");
    assert!(hold().await.is_err(), "which is active, too");
}
