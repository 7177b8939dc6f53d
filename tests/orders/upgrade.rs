//! A database of the version before, with orders, runs and timers under way: upgraded in place, it goes on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use backstitch::{
    activities::ShopDeps,
    engine::{Engine, HoldKind, Operator, Registry, Verb, WorkerConfig},
    orders::{
        CancelOrder, Fulfilment, Order, Orders, ShopSettings,
        state::{CancelBy, OrderState, PaymentState},
    },
    payments::{
        GatewayFuture, Intent, IntentStatus, Metadata, NewIntent, NewRefund, Page, PaymentGateway, Refund, RefundStatus,
    },
    workflows,
};
use sqlx::{AssertSqlSafe, Connection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestDatabase, wait_for_within};

/// Says how it was made.
const DUMP: &str = include_str!("../upgrade/dump.sql");
/// Of the key that is in it.
const TOKEN: &str = "bsk_9585b73bc61c_9b68f2766839ef5f6674879a8c96732eefb37c7dc2c07dcf5c49beb3cf20a22e";
/// Undos that were being retried may wait for their next attempt.
const PATIENCE: Duration = Duration::from_secs(90);
/// What each order of it costs.
const TOTAL: i64 = 3000;

/// A gateway that has captured each payment it is asked about, for the order that has it on record, and takes every refund.
struct AllPaid {
    pool: PgPool,
    refunds: Mutex<Vec<Refund>>,
}

fn paid(id: &str, order: Option<Uuid>) -> Intent {
    Intent {
        id: id.to_owned(),
        status: IntentStatus::Succeeded,
        amount: TOTAL,
        captured: TOTAL,
        currency: "EUR".to_owned(),
        order_id: order.map(|id| id.to_string()),
        metadata: Metadata::new(),
        last_decline: None,
    }
}

impl AllPaid {
    fn refunds_that(&self, keep: impl Fn(&Refund) -> bool) -> Vec<Refund> {
        self.refunds.lock().expect("no test panics with it").iter().filter(|refund| keep(refund)).cloned().collect()
    }
}

impl PaymentGateway for AllPaid {
    fn create_intent<'a>(&'a self, key: &'a str, new: &'a NewIntent) -> GatewayFuture<'a, Intent> {
        Box::pin(async move { Ok(paid(key, new.order_id.parse().ok())) })
    }

    fn confirm_intent<'a>(&'a self, _key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        self.get_intent(id)
    }

    fn cancel_intent<'a>(&'a self, _key: &'a str, id: &'a str) -> GatewayFuture<'a, Intent> {
        self.get_intent(id)
    }

    fn get_intent<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Intent> {
        Box::pin(async move {
            let query = "SELECT id FROM shop.orders WHERE intent_id = $1";
            let order = sqlx::query_scalar(query).bind(id).fetch_optional(&self.pool).await.expect("reads");
            Ok(paid(id, order))
        })
    }

    fn refund<'a>(&'a self, key: &'a str, new: &'a NewRefund) -> GatewayFuture<'a, Refund> {
        let refund = Refund {
            id: format!("re_{key}"),
            intent_id: Some(new.intent_id.clone()),
            status: RefundStatus::Succeeded,
            amount: new.amount,
            currency: "EUR".to_owned(),
            failure_reason: None,
            order_id: Some(new.order_id.clone()),
            metadata: new.metadata.clone(),
        };
        self.refunds.lock().expect("no test panics with it").push(refund.clone());
        Box::pin(async move { Ok(refund) })
    }

    fn get_refund<'a>(&'a self, id: &'a str) -> GatewayFuture<'a, Refund> {
        Box::pin(async move { Ok(self.refunds_that(|refund| refund.id == id).remove(0)) })
    }

    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> GatewayFuture<'a, Vec<Refund>> {
        Box::pin(async move { Ok(self.refunds_that(|refund| refund.intent_id.as_deref() == Some(intent_id))) })
    }

    fn list_intents<'a>(&'a self, _after: Option<&'a str>) -> GatewayFuture<'a, Page<Intent>> {
        Box::pin(async { Ok(Page { items: Vec::new(), unreadable: 0, next: None }) })
    }

    fn list_refunds<'a>(&'a self, _after: Option<&'a str>) -> GatewayFuture<'a, Page<Refund>> {
        Box::pin(async { Ok(Page { items: Vec::new(), unreadable: 0, next: None }) })
    }
}

/// The shop over the upgraded database.
struct Upgraded {
    orders: Orders,
    engine: Engine,
    db: TestDatabase,
}

impl Upgraded {
    async fn order(&self, customer: &str) -> Order {
        let query = "SELECT id FROM shop.orders WHERE customer_id = $1";
        let id: Uuid = sqlx::query_scalar(query).bind(customer).fetch_one(self.db.pool()).await.expect("an order");
        self.orders.get(id).await.expect("it can be read")
    }

    /// Waits until a customer's order and its run are so.
    async fn until(&self, customer: &str, state: OrderState, payment: PaymentState, run: &str) -> Order {
        let what = format!("the order of {customer} is {state:?}, {payment:?}, its run {run}");
        wait_for_within(PATIENCE, &what, async || {
            let order = self.order(customer).await;
            let status = self.engine.run(order.run_id).await.expect("a run").status;
            let seen = format!("{:?}, {:?}, {status}", order.state, order.payment_state);
            let is_so = order.state == state && order.payment_state == payment && status == run;
            if is_so { Ok(order) } else { Err(seen) }
        })
        .await
    }

    async fn run_of_key(&self, key: &str) -> backstitch::engine::Run {
        let query = "SELECT run_id FROM backstitch.run_key WHERE key IN ($1, '@internal:' || $1)";
        let id: Uuid = sqlx::query_scalar(query).bind(key).fetch_one(self.db.pool()).await.expect("a run");
        self.engine.run(id).await.expect("it can be read")
    }
}

/// The dump in a database of its own.
async fn restore() -> TestDatabase {
    let db = TestDatabase::unmigrated().await;
    let mut conn = db.connect("restore").await;
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(&mut conn)
        .await
        .expect("a version");
    let dump = if version < 140_000 { DUMP.replace(" int4_minmax_multi_ops", "") } else { DUMP.to_owned() };
    sqlx::raw_sql(AssertSqlSafe(dump)).execute(&mut conn).await.expect("it can be restored");
    conn.close().await.expect("it is closed");
    db
}

fn operator() -> Operator {
    Operator { actor: "test".into(), reason: Some("the gateway takes refunds again".into()), ..Operator::default() }
}

#[tokio::test]
async fn a_database_of_the_version_before_goes_on() {
    use {OrderState as O, PaymentState as P};
    let db = restore().await;
    let gateway = Arc::new(AllPaid { pool: db.pool().clone(), refunds: Mutex::default() });
    let registry = workflows::register(Registry::new(), &ShopDeps::new(db.pool().clone(), gateway));
    let engine = Engine::new(db.pool().clone(), registry);
    let orders = Orders::new(engine.clone(), ShopSettings::default());
    assert!(!engine.missing_migrations().await.expect("it can be asked").is_empty());
    assert!(!orders.missing_migrations().await.expect("it can be asked").is_empty());
    orders.migrate().await.expect("it is upgraded");
    orders.migrate().await.expect("once more does no harm");
    assert_eq!(engine.missing_migrations().await.expect("it can be asked"), [0; 0]);
    assert_eq!(orders.missing_migrations().await.expect("it can be asked"), [0; 0]);

    let shop = Upgraded { orders, engine, db };
    let (orders, engine) = (&shop.orders, &shop.engine);
    // What had come to rest is as it was.
    assert_eq!(engine.authenticate(TOKEN).await.expect("the key is good").name, "night-shift");
    for (action, actions) in [("compensate", 2), ("pause", 1), ("hold", 1), ("create_key", 1), ("set", 1)] {
        let query = "SELECT count(*) FROM backstitch.audit WHERE action = $1";
        let found: i64 = sqlx::query_scalar(query).bind(action).fetch_one(shop.db.pool()).await.expect("reads");
        assert_eq!(found, actions, "{action}");
    }
    let schedules = engine.schedules().await.expect("they can be read");
    assert!(schedules.iter().any(|schedule| schedule.name == "nightly"));

    let stop = CancellationToken::new();
    let config = WorkerConfig {
        poll_interval: Duration::from_millis(50),
        takeover_after: Duration::from_secs(2),
        ..WorkerConfig::default()
    };
    let worker = tokio::spawn(engine.worker(config).run(stop.clone().cancelled_owned()));

    // These go on by themselves: an undo that was being retried, and a payment that was waited for.
    let order = shop.until("compensating", O::Cancelled, P::Refunded, "compensated").await;
    assert_eq!(order.refunded, TOTAL);
    shop.until("paying", O::Placed, P::Captured, "waiting").await;
    // These wait for somebody.
    shop.until("stuck", O::Placed, P::RefundFailed, "stuck").await;
    engine.retry(shop.order("stuck").await.run_id, &operator()).await.expect("it can be tried again");
    let order = shop.until("stuck", O::Cancelled, P::Refunded, "compensated").await;
    assert_eq!(order.refunded, TOTAL);
    shop.until("paused", O::Placed, P::Captured, "paused").await;
    engine.apply_verb(shop.order("paused").await.run_id, &Verb::Resume, &operator()).await.expect("it can go on");
    shop.until("paused", O::Placed, P::Captured, "waiting").await;
    // The refund window of 100 years is still open.
    let cancel = CancelOrder { reason: None, by: Some(CancelBy::Customer) };
    orders.cancel(shop.order("placed").await.id, &cancel).await.expect("it can be cancelled");
    let order = shop.until("placed", O::Cancelled, P::PartiallyRefunded, "completed").await;
    assert_eq!(order.refunded, TOTAL * 70 / 100);
    for report in [Fulfilment::Shipped, Fulfilment::Delivered] {
        orders.report(shop.order("processing").await.id, report).await.expect("it is reported");
    }
    shop.until("processing", O::Delivered, P::Captured, "completed").await;
    // What had ended has ended.
    shop.until("delivered", O::Delivered, P::Captured, "completed").await;
    shop.until("declined", O::Cancelled, P::Failed, "compensated").await;
    shop.until("refunded", O::Cancelled, P::PartiallyRefunded, "completed").await;
    // A run that starts in a hundred years, and one that is held back.
    assert_eq!(shop.run_of_key("later").await.status, "waiting");
    assert_eq!(shop.run_of_key("held").await.status, "pending");
    engine.release(HoldKind::Workflow, "archive_sweep", &operator()).await.expect("it is held");
    wait_for_within(PATIENCE, "the held run is completed", async || {
        let status = shop.run_of_key("held").await.status;
        if status == "completed" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;

    assert_eq!(orders.book_breaches().await.expect("reads"), Vec::<String>::new());
    assert_eq!(engine.limbo().await.expect("reads"), Vec::new());
    stop.cancel();
    worker.await.expect("it does not panic").expect("it ends in good order");
}
