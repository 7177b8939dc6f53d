//! The order saga that all peers run: its steps against a table of one's own and a gateway over HTTP, and the load.
//!
//! Every step may be run again: the row says whether it has been done, the gateway goes by its idempotency keys.

use std::{
    env,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinSet;

/// As many as in ours, with the same price and stock.
const SKUS: usize = 1_000;
const PRICE: i64 = 1_250;
const ON_HAND: i64 = 10_000_000;

const TABLES: &str = "
    CREATE TABLE item (sku text PRIMARY KEY, on_hand bigint NOT NULL, held bigint NOT NULL DEFAULT 0)
        WITH (fillfactor = 50);
    CREATE TABLE orders (id text PRIMARY KEY, customer_id text NOT NULL, sku text NOT NULL REFERENCES item,
        quantity bigint NOT NULL, state text NOT NULL, intent_id text, placed_at timestamptz, archived_at timestamptz)
        WITH (fillfactor = 50);";

/// What the steps work with. Cheap to clone.
#[derive(Clone)]
pub struct Shop {
    pool: PgPool,
    http: Client,
    gateway: Arc<str>,
}

impl Shop {
    /// Makes the tables in `DATABASE_URL`, and talks to the gateway at `GATEWAY_URL`.
    pub async fn open() -> Result<Self> {
        let shop = Self::join().await?;
        sqlx::raw_sql(TABLES).execute(&shop.pool).await.context("the tables can't be made")?;
        let fill = "INSERT INTO item (sku, on_hand) SELECT 'sku-' || n, $1 FROM generate_series(0, $2 - 1) n";
        sqlx::query(fill).bind(ON_HAND).bind(SKUS as i64).execute(&shop.pool).await?;
        Ok(shop)
    }

    /// The same, where another process has made the tables.
    pub async fn join() -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(number("POOL", 16)?);
        let pool = pool.connect(&variable("DATABASE_URL")?).await.context("the database can't be reached")?;
        let http = Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { pool, http, gateway: variable("GATEWAY_URL")?.into() })
    }

    /// Opens the order and takes its stock, in one transaction.
    pub async fn reserve(&self, order: &Value) -> Result<()> {
        let (id, item) = (text(&order["id"])?, &order["items"][0]);
        let (sku, quantity) = (text(&item["sku"])?, item["quantity"].as_i64().context("a quantity")?);
        let mut tx = self.pool.begin().await?;
        let open = "INSERT INTO orders (id, customer_id, sku, quantity, state) VALUES ($1, $2, $3, $4, 'pending')
            ON CONFLICT DO NOTHING";
        let customer = text(&order["customer_id"])?;
        let opened = sqlx::query(open).bind(id).bind(customer).bind(sku).bind(quantity).execute(&mut *tx).await?;
        if opened.rows_affected() == 1 {
            let hold = "UPDATE item SET held = held + $2 WHERE sku = $1 AND on_hand - held >= $2";
            let held = sqlx::query(hold).bind(sku).bind(quantity).execute(&mut *tx).await?;
            ensure!(held.rows_affected() == 1, "{sku} is out of stock");
        }
        tx.commit().await?;
        Ok(())
    }

    /// Creates the payment at the gateway; gives its id.
    pub async fn create_intent(&self, order: &Value) -> Result<String> {
        let (id, amount) = (text(&order["id"])?, PRICE.to_string());
        let form = [
            ("amount", &*amount),
            ("currency", "eur"),
            ("payment_method", text(&order["payment"]["token"])?),
            ("payment_method_types[]", "card"),
            ("confirm", "false"),
            ("metadata[order_id]", id),
        ];
        let intent = self.post("/v1/payment_intents", &format!("{id}-create"), &form).await?;
        Ok(text(&intent["id"])?.to_owned())
    }

    /// Charges it.
    pub async fn charge(&self, order: &Value, intent: &str) -> Result<()> {
        let key = format!("{}-charge", text(&order["id"])?);
        let charged = self.post(&format!("/v1/payment_intents/{intent}/confirm"), &key, &[]).await?;
        ensure!(charged["status"] == "succeeded", "the payment is {}", charged["status"]);
        Ok(())
    }

    async fn post(&self, path: &str, key: &str, form: &[(&str, &str)]) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.gateway)).form(form);
        let request = request.header("Authorization", "Bearer sk_test_bench").header("Idempotency-Key", key);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// Sells the reserved stock and places the order, in one transaction.
    pub async fn confirm(&self, order: &Value, intent: &str) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        let place = "UPDATE orders SET state = 'placed', intent_id = $2, placed_at = now()
            WHERE id = $1 AND state = 'pending'";
        let placed = sqlx::query(place).bind(text(&order["id"])?).bind(intent).execute(&mut *tx).await?;
        if placed.rows_affected() == 1 {
            let item = &order["items"][0];
            let sell = "UPDATE item SET held = held - $2, on_hand = on_hand - $2 WHERE sku = $1";
            let sold = sqlx::query(sell).bind(text(&item["sku"])?).bind(item["quantity"].as_i64());
            sold.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A notice is a line of the log.
    pub fn notify(&self, order: &Value, to: &str) -> Result<()> {
        eprintln!("notice to the {to}: order {} is placed", text(&order["id"])?);
        Ok(())
    }

    /// The last step.
    pub async fn archive(&self, order: &Value) -> Result<()> {
        let archive = "UPDATE orders SET archived_at = now() WHERE id = $1 AND archived_at IS NULL";
        sqlx::query(archive).bind(text(&order["id"])?).execute(&self.pool).await?;
        Ok(())
    }

    /// Whether so many orders are placed and archived, each charged once, and their stock is gone.
    async fn check(&self, orders: usize) -> Result<()> {
        let count = "SELECT (SELECT count(*) FROM orders WHERE state = 'placed' AND archived_at IS NOT NULL),
            (SELECT sum($1 - on_hand)::bigint FROM item), (SELECT sum(held)::bigint FROM item)";
        let (placed, sold, held): (i64, i64, i64) = sqlx::query_as(count).bind(ON_HAND).fetch_one(&self.pool).await?;
        let ledger: Value = self.http.get(format!("{}/sim/ledger", self.gateway)).send().await?.json().await?;
        let payments = ledger["payments"].as_array().context("a list of payments")?;
        let charged = payments.iter().filter(|payment| payment["captured"] == PRICE).count();
        let due = orders as i64;
        let right = (placed, sold, held) == (due, due, 0) && (charged, payments.len()) == (orders, orders);
        ensure!(right, "{orders} orders: {placed} placed, {sold} sold, {held} held, {charged} charged");
        Ok(())
    }
}

/// The `n`th order, as ours has it.
fn order(n: usize) -> Value {
    json!({
        "id": format!("order-{n:09}"),
        "customer_id": format!("customer-{}", n % 10_000),
        "items": [{"sku": format!("sku-{}", n % SKUS), "quantity": 1}],
        "payment": {"token": "tok_ok"},
        "delivery": {"address": "1 Long Street, Some Town"},
    })
}

/// Runs `ORDERS` orders, `IN_FLIGHT` at a time, each from its request to its end; checks and prints what that came to.
pub async fn measure<F>(shop: &Shop, place: impl Fn(Value) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (orders, in_flight) = (number("ORDERS", 1_000)? as usize, number("IN_FLIGHT", 64)? as usize);
    place(order(0)).await.context("the first order, which is not measured")?;
    let (next, place) = (AtomicUsize::new(1), &place);
    let began = Instant::now();
    let mut running = JoinSet::new();
    let mut begin = |running: &mut JoinSet<Result<()>>| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n <= orders {
            running.spawn(place(order(n)));
        }
    };
    (0..in_flight).for_each(|_| begin(&mut running));
    while let Some(ended) = running.join_next().await {
        ended??;
        begin(&mut running);
    }
    let seconds = began.elapsed().as_secs_f64();
    shop.check(orders + 1).await?;
    println!("{}", json!({"runs": orders, "seconds": seconds, "runs_per_s": orders as f64 / seconds}));
    Ok(())
}

/// A text in an order or an answer.
pub fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// A variable of the environment that must be set.
pub fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}

/// One that is a number.
pub fn number(name: &str, default: u32) -> Result<u32> {
    env::var(name).map_or(Ok(default), |text| text.parse()).with_context(|| format!("{name} is no number"))
}
