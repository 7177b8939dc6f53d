//! `peers`: the order saga that bench/peers has for other engines, step by step the same, on ours: stock is taken in a table of one's
//! own, a payment is created and charged over HTTP, the order is confirmed, customer and seller are told, it is archived.
//!
//! What touches the table is transactional, and done for many at a time, which the others have nothing for.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{place::Place, scenario::Scenario};
use crate::{
    Secret,
    engine::{
        Activity, ActivityCalls, ActivityContext, ActivityError, Answer, Context, Engine, Failure, Registry, StartRun,
        Workflow, join, to_json,
    },
    gateway_sim, tls,
};

/// As in bench/peers, and in `orders`.
const SKUS: usize = 1_000;
const PRICE: i64 = 1_250;
const ON_HAND: i64 = 10_000_000;
/// Orders under way at a time: more requests at once than that only wait at the gateway.
const IN_FLIGHT: usize = 512;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const TABLES: &str = "
    DROP TABLE IF EXISTS bench_order, bench_item;
    CREATE TABLE bench_item (sku text PRIMARY KEY, on_hand bigint NOT NULL, held bigint NOT NULL DEFAULT 0)
        WITH (fillfactor = 50);
    CREATE TABLE bench_order (id text PRIMARY KEY, customer_id text NOT NULL, sku text NOT NULL REFERENCES bench_item,
        quantity bigint NOT NULL, state text NOT NULL, intent_id text, placed_at timestamptz, archived_at timestamptz)
        WITH (fillfactor = 50);";

/// The saga and its gateway.
pub(super) struct Peers {
    outside: Arc<Outside>,
    next: AtomicUsize,
    _gateway: DropGuard,
}

/// What the steps talk to beside the database.
struct Outside {
    http: reqwest::Client,
    gateway: String,
    /// Where notices go: a line each.
    notices: File,
}

impl Peers {
    /// Starts the gateway, and makes room for as many orders at a time as the others have.
    pub(super) async fn open(place: &Place) -> anyhow::Result<(Self, Place)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gateway = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let config =
            gateway_sim::Config { webhook_secret: Secret::new("whsec_bench"), ..gateway_sim::Config::default() };
        tokio::spawn(gateway_sim::serve(listener, config, stop.clone().cancelled_owned()));
        let path = std::env::temp_dir().join(format!("backstitch-bench-notices-{}", std::process::id()));
        let notices = File::create_new(&path).with_context(|| format!("{} can't be made", path.display()))?;
        std::fs::remove_file(path)?; // it is written to while it is open, and leaves nothing behind
        let http = tls::client(&gateway.parse()?, ANSWER_WITHIN)?;
        let outside = Arc::new(Outside { http, gateway, notices });
        let place = Place { slots: place.slots.min(IN_FLIGHT), ..place.clone() };
        Ok((Self { outside, next: AtomicUsize::new(0), _gateway: stop.drop_guard() }, place))
    }
}

impl Scenario for Peers {
    const NAME: &'static str = "peers";
    const STEPS_PER_RUN: u32 = 7;
    const RUNS: usize = 5_000;

    fn register(&self, registry: Registry) -> Registry {
        let outside = &self.outside;
        let registry = registry.workflow(BenchOrderSaga).activity(Reserve).activity(Confirm).activity(Archive);
        let registry = registry.activity(CreateIntent(outside.clone())).activity(Charge(outside.clone()));
        registry.activity(Notify(outside.clone()))
    }

    fn next_run(&self) -> StartRun {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let order = json!({
            "id": format!("order-{n:09}"),
            "customer_id": format!("customer-{}", n % 10_000),
            "items": [{"sku": format!("sku-{}", n % SKUS), "quantity": 1}],
            "payment": {"token": "tok_ok"},
            "delivery": {"address": "1 Long Street, Some Town"},
        });
        StartRun::named(BenchOrderSaga::NAME, to_json(&order).expect("a JSON value has a JSON form"))
    }

    async fn prepare(&self, engine: &Engine) -> anyhow::Result<()> {
        sqlx::raw_sql(TABLES).execute(engine.pool()).await?;
        let fill = "INSERT INTO bench_item (sku, on_hand) SELECT 'sku-' || n, $1 FROM generate_series(0, $2 - 1) n";
        sqlx::query(fill).bind(ON_HAND).bind(SKUS as i64).execute(engine.pool()).await?;
        Ok(())
    }

    /// All orders that were begun are placed and archived, each charged once, and their stock is gone.
    async fn check(&self, engine: &Engine, _: usize) -> anyhow::Result<()> {
        let orders = self.next.load(Ordering::Relaxed);
        let count = "SELECT (SELECT count(*) FROM bench_order WHERE state = 'placed' AND archived_at IS NOT NULL),
            (SELECT sum($1 - on_hand)::bigint FROM bench_item), (SELECT sum(held)::bigint FROM bench_item)";
        let found: (i64, i64, i64) = sqlx::query_as(count).bind(ON_HAND).fetch_one(engine.pool()).await?;
        let ledger = self.outside.http.get(format!("{}/sim/ledger", self.outside.gateway)).send().await?;
        let ledger: Value = ledger.json().await?;
        let payments = ledger["payments"].as_array().context("a list of payments")?;
        let charged = payments.iter().filter(|payment| payment["captured"] == PRICE).count();
        let right = found == (orders as i64, orders as i64, 0) && (charged, payments.len()) == (orders, orders);
        ensure!(right, "{orders} orders, (placed, sold, held) are {found:?}, {charged} charged");
        Ok(())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    customer_id: String,
    items: Vec<Item>,
    payment: Payment,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    sku: String,
    quantity: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Payment {
    token: String,
}

struct BenchOrderSaga;

impl Workflow for BenchOrderSaga {
    const NAME: &'static str = "bench_order_saga";
    type Input = Order;
    type Output = String;

    async fn run(&self, cx: &Context, order: Order) -> Result<String, Failure> {
        let Order { id, customer_id, mut items, payment } = order;
        let item = items.pop().ok_or_else(|| Failure::new("no_item", "an order has an item"))?;
        let taken = Taken { order: id.clone(), customer: customer_id, item, intent: None };
        cx.call::<Reserve>(taken.clone()).await?;
        let intent = cx.call::<CreateIntent>((id.clone(), payment.token)).await?;
        cx.call::<Charge>((id.clone(), intent.clone())).await?;
        cx.call::<Confirm>(Taken { intent: Some(intent), ..taken }).await?;
        let notice = |to: &str| cx.call::<Notify>((id.clone(), to.to_owned()));
        let (customer, seller) = join(notice("customer"), notice("seller")).await;
        customer.and(seller)?;
        cx.call::<Archive>(id.clone()).await?;
        Ok(id)
    }
}

/// An order and the stock that it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Taken {
    order: String,
    customer: String,
    item: Item,
    intent: Option<String>,
}

/// A step on the tables: one transaction with its record, and as many statements for all that are due as for one.
macro_rules! transactional {
    ($type:ident, $name:literal, $input:ty, $do:ident) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            const TRANSACTIONAL: bool = true;
            type Input = $input;
            type Output = ();
            async fn run(&self, cx: &ActivityContext, input: &$input) -> Result<(), ActivityError> {
                $do(&mut *cx.tx().await?, &[input]).await
            }
            async fn run_many(&self, calls: &ActivityCalls<'_, Self>) -> Result<Vec<Answer<()>>, ActivityError> {
                let inputs: Vec<&$input> = calls.iter().map(|call| call.input).collect();
                $do(&mut *calls.tx().await?, &inputs).await?;
                Ok(calls.iter().map(|call| call.answer(Ok(()))).collect())
            }
        }
    };
}
transactional!(Reserve, "reserve", Taken, reserve);
transactional!(Confirm, "confirm", Taken, confirm);
transactional!(Archive, "archive", String, archive);

/// Opens the orders and takes their stock.
async fn reserve(conn: &mut PgConnection, orders: &[&Taken]) -> Result<(), ActivityError> {
    let open = "INSERT INTO bench_order (id, customer_id, sku, quantity, state)
        SELECT k.id, k.customer, k.sku, k.quantity, 'pending'
        FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS k (id, customer, sku, quantity)";
    let open = sqlx::query(open).bind(ids(orders)).bind(each(orders, |order| &*order.customer));
    let open = open.bind(each(orders, |order| &*order.item.sku)).bind(each(orders, |order| order.item.quantity));
    open.execute(&mut *conn).await?;
    let hold = "UPDATE bench_item i SET held = i.held + k.taken
        FROM (SELECT sku, sum(quantity)::bigint AS taken FROM unnest($1::text[], $2::bigint[]) AS u (sku, quantity) GROUP BY sku) k
        WHERE i.sku = k.sku AND i.on_hand - i.held >= k.taken";
    if change_stock(conn, orders, hold).await? {
        Ok(())
    } else {
        Err(ActivityError::failed("out_of_stock", "it is sold"))
    }
}

/// Sells what the orders hold, and places them.
async fn confirm(conn: &mut PgConnection, orders: &[&Taken]) -> Result<(), ActivityError> {
    let place = "UPDATE bench_order o SET state = 'placed', intent_id = k.intent, placed_at = now()
        FROM unnest($1::text[], $2::text[]) AS k (id, intent) WHERE o.id = k.id AND o.state = 'pending'";
    let place = sqlx::query(place).bind(ids(orders)).bind(each(orders, |order| order.intent.as_deref()));
    let placed = place.execute(&mut *conn).await?.rows_affected() == orders.len() as u64;
    let sell = "UPDATE bench_item i SET held = i.held - k.taken, on_hand = i.on_hand - k.taken
        FROM (SELECT sku, sum(quantity)::bigint AS taken FROM unnest($1::text[], $2::bigint[]) AS u (sku, quantity) GROUP BY sku) k
        WHERE i.sku = k.sku";
    let sold = change_stock(conn, orders, sell).await?;
    if placed && sold { Ok(()) } else { Err(ActivityError::failed("not_held", "an order is not pending")) }
}

/// Locks the orders' items in one order, so that two such transactions can't deadlock, and changes each; whether all were.
async fn change_stock(conn: &mut PgConnection, orders: &[&Taken], change: &'static str) -> Result<bool, ActivityError> {
    let skus: BTreeSet<&str> = orders.iter().map(|order| &*order.item.sku).collect();
    let lock = "SELECT FROM bench_item WHERE sku = ANY ($1) ORDER BY sku FOR NO KEY UPDATE";
    sqlx::query(lock).bind(skus.iter().collect::<Vec<_>>()).execute(&mut *conn).await?;
    let change = sqlx::query(change).bind(each(orders, |order| &*order.item.sku));
    let changed = change.bind(each(orders, |order| order.item.quantity)).execute(conn).await?;
    Ok(changed.rows_affected() == skus.len() as u64)
}

/// The last step.
async fn archive(conn: &mut PgConnection, orders: &[&String]) -> Result<(), ActivityError> {
    let archive = "UPDATE bench_order SET archived_at = now() WHERE id = ANY ($1) AND archived_at IS NULL";
    sqlx::query(archive).bind(orders).execute(conn).await?;
    Ok(())
}

fn ids<'a>(orders: &[&'a Taken]) -> Vec<&'a str> {
    each(orders, |order| &*order.order)
}

fn each<'a, T>(orders: &[&'a Taken], column: impl Fn(&'a Taken) -> T) -> Vec<T> {
    orders.iter().map(|order| column(order)).collect()
}

/// Creates the payment of an order, with this token, at the gateway; gives its id.
struct CreateIntent(Arc<Outside>);

impl Activity for CreateIntent {
    const NAME: &'static str = "create";
    type Input = (String, String);
    type Output = String;

    async fn run(&self, _: &ActivityContext, (order, token): &(String, String)) -> Result<String, ActivityError> {
        let amount = PRICE.to_string();
        let form = [
            ("amount", &*amount),
            ("currency", "eur"),
            ("payment_method", token),
            ("payment_method_types[]", "card"),
            ("confirm", "false"),
            ("metadata[order_id]", order),
        ];
        let intent = self.0.post("/v1/payment_intents", &format!("{order}-create"), &form).await?;
        let id = intent["id"].as_str().ok_or_else(|| ActivityError::unknown("odd_answer", "a payment has an id"))?;
        Ok(id.to_owned())
    }
}

/// Charges the payment of an order.
struct Charge(Arc<Outside>);

impl Activity for Charge {
    const NAME: &'static str = "charge";
    type Input = (String, String);
    type Output = ();

    async fn run(&self, _: &ActivityContext, (order, intent): &(String, String)) -> Result<(), ActivityError> {
        let path = format!("/v1/payment_intents/{intent}/confirm");
        let charged = self.0.post(&path, &format!("{order}-charge"), &[]).await?;
        if charged["status"] == "succeeded" {
            return Ok(());
        }
        Err(ActivityError::failed("not_charged", format!("the payment is {}", charged["status"])))
    }
}

/// Tells somebody that an order is placed.
struct Notify(Arc<Outside>);

impl Activity for Notify {
    const NAME: &'static str = "notify";
    type Input = (String, String);
    type Output = ();

    async fn run(&self, _: &ActivityContext, (order, to): &(String, String)) -> Result<(), ActivityError> {
        let line = format!("notice to the {to}: order {order} is placed\n");
        let written = (&self.0.notices).write_all(line.as_bytes());
        written.map_err(|error| ActivityError::failed("log", error.to_string()))
    }
}

impl Outside {
    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<Value, ActivityError> {
        let unknown = |error: reqwest::Error| ActivityError::unknown("gateway", error.to_string());
        let request = self.http.post(format!("{}{path}", self.gateway)).form(form);
        let request = request.header("Authorization", "Bearer sk_test_bench").header("Idempotency-Key", key);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).map_err(unknown)?;
        answer.json().await.map_err(unknown)
    }
}
