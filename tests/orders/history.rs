//! Promise: an order that has ended moves to the history as a whole. Lists join live and archived orders; a sweep archives
//! what was missed.

use std::time::Duration;

use backstitch::{
    engine::{Operator, StartRun, to_json},
    orders::{
        OrderFilter,
        runs::{ARCHIVE_SWEEP, SweepInput},
        state::{CancelBy, OrderState},
    },
};
use uuid::Uuid;

use crate::{
    shop::Shop,
    support::{shop::order_request, wait_until},
};

async fn sweep(shop: &Shop, after: Duration) -> serde_json::Value {
    let input = SweepInput { after_ms: after.as_millis() as u64, keep_months: 12, keep_days: 30 };
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

#[tokio::test]
async fn an_archived_order_shows_a_later_refund() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let id = shop.order("tok_ok", 1).await;
    shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    shop.cancel(id, CancelBy::Customer).await.expect("accepted");
    let archived = shop.until(id, "it is archived", |order| order.archived).await;
    assert_eq!((archived.refunded, archived.items.len()), (700, 1));

    let by =
        |dry_run| Operator { actor: "test".into(), reason: Some("a gesture".into()), dry_run, ..Default::default() };
    shop.until_run(id, "completed").await;
    let plan = shop.engine.compensate(archived.run_id, &by(true)).await.expect("it can be undone");
    let charge = plan.undo.iter().find(|undo| undo.activity == "charge").expect("a charge");
    assert_eq!(charge.summary.as_deref(), Some("refund 3.00 EUR"), "what is left of it");
    shop.engine.compensate(archived.run_id, &by(false)).await.expect("it can be undone");
    shop.until_run(id, "compensated").await;
    assert_eq!((shop.get(id).await.refunded, shop.moved(id).await), (1000, (1000, 1000)));
    let filter = OrderFilter { customer_id: Some("ada".into()), ..OrderFilter::default() };
    let listed = shop.orders.list(&filter).await.expect("a page").items;
    assert_eq!((listed[0].refunded, listed[0].items.len()), (1000, 1));
}

#[tokio::test]
async fn events_and_keys_are_forgotten_in_time() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let request = order_request("tok_ok", &[("tea", 1)]);
    let first = shop.orders.place(&request, Some("k")).await.expect("an order").order.id;
    shop.until(first, "it is placed", |order| order.state == OrderState::Placed).await;
    let kept = async || -> (i64, i64) {
        let query = "SELECT (SELECT count(*) FROM shop.webhook_events), (SELECT count(*) FROM shop.order_keys)";
        sqlx::query_as(query).fetch_one(&shop.pool).await.expect("counts")
    };
    wait_until("its event has come", async || kept().await.0 > 0).await;
    shop.pass(Duration::from_secs(29 * 86_400)).await;
    sweep(&shop, Duration::from_secs(1800)).await;
    assert_eq!(kept().await, (1, 1));
    assert_eq!(shop.orders.place(&request, Some("k")).await.expect("the first").order.id, first);
    shop.pass(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(sweep(&shop, Duration::from_secs(1800)).await["forgotten"], 2);
    assert_eq!(kept().await, (0, 0));
}
