//! Promise: an order that has ended moves to the history as a whole. Lists join live and archived orders; a sweep archives
//! what was missed.

use std::time::Duration;

use backstitch::{
    engine::{StartRun, to_json},
    orders::{
        OrderFilter,
        runs::{ARCHIVE_SWEEP, SweepInput},
        state::{CancelBy, OrderState},
    },
};
use uuid::Uuid;

use crate::shop::Shop;

async fn sweep(shop: &Shop, after: Duration) -> serde_json::Value {
    let input = SweepInput { after_ms: after.as_millis() as u64, keep_months: 12 };
    let start = StartRun::named(ARCHIVE_SWEEP, to_json(&input).expect("JSON"));
    let run = shop.engine.start(start).await.expect("starts").run;
    let ended = shop.engine.result(run, Duration::from_secs(20)).await.expect("a result");
    assert_eq!(ended.status, "completed", "{:?}", ended.failure);
    serde_json::from_str(ended.output.expect("an output").get()).expect("JSON")
}

async fn list(shop: &Shop, customer: Option<&str>, limit: u32) -> Vec<Uuid> {
    let mut filter = OrderFilter { customer_id: customer.map(str::to_owned), limit: Some(limit), cursor: None };
    let mut found = Vec::new();
    loop {
        let page = shop.orders.list(&filter).await.expect("a page");
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items.iter().map(|order| order.id));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn live_and_archived_orders_are_one_list() {
    let shop = Shop::open().await;
    shop.stock("tea", 100).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = shop.order("tok_ok", 1).await;
        shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
        if n % 2 == 0 {
            shop.cancel(id, CancelBy::Seller).await.expect("accepted");
            shop.until(id, "it is archived", |order| order.archived).await;
        }
        ids.insert(0, id);
    }
    for limit in [1, 2, 3, 50] {
        assert_eq!(list(&shop, Some("ada"), limit).await, ids, "by pages of {limit}");
        assert_eq!(list(&shop, None, limit).await, ids, "everybody's, by pages of {limit}");
    }
    let archived = shop.get(ids[0]).await;
    assert_eq!((archived.items.len(), archived.items[0].price, archived.refunded), (1, 1000, 1000));
    let slim: (i64, Option<String>) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM shop.order_items i WHERE i.order_id = o.id), o.address FROM shop.orders o WHERE id = $1",
    )
    .bind(ids[0])
    .fetch_one(&shop.pool)
    .await
    .expect("the slim row");
    assert_eq!(slim, (0, None));
    let bad = OrderFilter { customer_id: Some("ada".into()), cursor: Some("x".into()), limit: None };
    assert_eq!(shop.orders.list(&bad).await.map_err(|error| error.code()).expect_err("no cursor"), "bad_cursor");
}

#[tokio::test]
async fn a_sweep_archives_undone_and_drops_old_orders() {
    let shop = Shop::open().await;
    shop.stock("tea", 1).await;
    let id = shop.order("tok_declined", 1).await;
    shop.until_run(id, "compensated").await;
    assert_eq!(sweep(&shop, Duration::from_secs(1800)).await["archived"], 0, "it has only just ended");
    shop.pass(Duration::from_secs(1801)).await;
    assert_eq!(sweep(&shop, Duration::from_secs(1800)).await["archived"], 1);
    let order = shop.get(id).await;
    assert!(order.archived && order.items.len() == 1);
    assert_eq!(list(&shop, Some("ada"), 10).await, [id]);

    shop.pass(Duration::from_secs(200 * 86_400)).await;
    assert!(list(&shop, Some("ada"), 10).await.is_empty(), "customers see six months");
    assert_eq!(shop.get(id).await.items.len(), 1, "but it is kept");
    shop.pass(Duration::from_secs(230 * 86_400)).await;
    assert_eq!(sweep(&shop, Duration::ZERO).await["dropped_months"], 1);
    let slim = shop.get(id).await;
    assert!(slim.archived && slim.items.is_empty(), "the slim row stays");
}
