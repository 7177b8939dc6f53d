//! Promise: whatever fails, stock and money add up, by our books and by the gateway's own ledger.
//!
//! The order workflow runs in the saga harness: each step fails, each answer is lost, each step runs twice, undos fail, and the
//! worker dies at each commit.

use std::{str::FromStr, sync::Arc};

use backstitch::{
    engine::{
        Engine, Error, Json, Registry, Run, RunId, StartRun,
        testing::{Report, Saga, try_crashes, try_faults},
        to_json,
    },
    gateway_sim::Config,
    orders::{Fulfilment, Order, Orders, PlaceOrder, ShopSettings},
    payments::FIRST_VENDOR,
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{
    shop::{Opening, Shop, request_with},
    support::shop::{GATEWAY_TIMEOUT, NORTH, order_request, shop_registry},
};

/// More than all trials take.
const ON_HAND: i64 = 100_000;

/// The shop is the world: its simulator keeps the money. Its own worker does nothing; the harness brings workers.
struct OrderSaga(Shop);

impl OrderSaga {
    async fn set() -> Self {
        Self::of(Opening { worker: false, ..Opening::default() }).await
    }

    /// With a first vendor that is too busy for every charge, and a second one that serves it.
    async fn set_with_two_vendors() -> Self {
        Self::of(Opening { worker: false, second: Some(Config::default()), ..Opening::default() }).await
    }

    async fn of(opening: Opening) -> Self {
        let shop = Shop::with(opening).await;
        shop.stock("tea", ON_HAND).await;
        Self(shop)
    }

    async fn order_of(&self, run: RunId) -> Result<Order, String> {
        let query = "SELECT id FROM shop.orders WHERE run_id = $1";
        let id: Uuid = sqlx::query_scalar(query).bind(run).fetch_one(&self.0.pool).await.map_err(|e| e.to_string())?;
        Ok(self.0.get(id).await)
    }
}

impl Saga for OrderSaga {
    fn pool(&self) -> PgPool {
        let options = PgConnectOptions::from_str(self.0.url()).expect("the test's own URL");
        PgPoolOptions::new().max_connections(12).connect_lazy_with(options)
    }

    fn registry(&self, pool: &PgPool) -> Registry {
        match self.0.second {
            Some(_) => shop_registry(pool, self.0.both()),
            None => shop_registry(pool, Arc::new(self.0.simulator.gateway(GATEWAY_TIMEOUT))),
        }
    }

    /// Orders are started by placing them: see `begin`.
    fn start(&self, _: RunId) -> StartRun {
        let nothing: Json = to_json(&()).expect("null is JSON");
        StartRun::named("order", nothing)
    }

    async fn begin(&self, engine: &Engine, _: RunId) -> Result<RunId, Error> {
        let orders = Orders::new(engine.clone(), ShopSettings::default());
        let request = order_request("tok_ok", &[("tea", 2)]);
        let placed = match self.0.second {
            Some(_) => {
                let payment = request_with(&[(FIRST_VENDOR, "tok_busy"), (NORTH, "tok_ok")]).payment;
                orders.with_vendors(&self.0.both()).place(&PlaceOrder { payment, ..request }, None).await
            }
            None => orders.place(&request, None).await,
        };
        match placed {
            Ok(placed) => Ok(placed.order.run_id),
            Err(backstitch::orders::Error::Engine(error)) => Err(error),
            Err(error) => Err(Error::InvalidRequest(error.to_string())),
        }
    }

    /// Fulfilment reports, each only when customer and seller were notified of what was before it: were two reports seen at
    /// once, the run would take fewer steps than the one whose steps are tried.
    async fn nudge(&self, _: &Engine, run: &Run) {
        let notices = run.steps.iter().flatten().filter(|step| step.name == "notify").count();
        let report = match notices {
            0 => return,
            // That it is placed.
            2 => Fulfilment::Shipped,
            _ => Fulfilment::Delivered,
        };
        let Ok(order) = self.order_of(run.id).await else { return };
        // Refused where it has been reported, or the order is being cancelled: that is the shop's to say.
        let _ = self.0.orders.report(order.id, report).await;
    }

    async fn check(&self, _: &PgPool, run: &Run) -> Result<(), String> {
        let order = self.order_of(run.id).await?;
        let (captured, refunded) = self.0.moved(order.id).await;
        let query = "SELECT coalesce(sum(quantity) FILTER (WHERE state = 'held'), 0)::bigint,
            coalesce(sum(quantity) FILTER (WHERE state = 'committed'), 0)::bigint FROM shop.reservations WHERE order_id = $1";
        let units: (i64, i64) =
            sqlx::query_as(query).bind(order.id).fetch_one(&self.0.pool).await.map_err(|e| e.to_string())?;
        let is = (captured - refunded, units);
        let should = if run.status == "completed" { (order.total, (0, 2)) } else { (0, (0, 0)) };
        if is != should {
            return Err(format!("(money kept, (held, committed)) is {is:?} and should be {should:?}; {order:?}"));
        }
        if captured > order.total {
            return Err(format!("{captured} were captured for an order of {}", order.total));
        }
        Ok(())
    }
}

async fn the_shelf_adds_up(saga: &OrderSaga) {
    let committed = saga.0.orders.units_committed("tea").await.expect("reads");
    assert_eq!(saga.0.shelf("tea").await, (ON_HAND - committed, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_and_money_add_up_under_every_fault() {
    let saga = OrderSaga::set().await;
    let Report { trials, .. } = try_faults(&saga).await.unwrap_or_else(|breach| panic!("{breach}"));
    assert!(trials > 50, "{trials} trials: is every step tried?");
    the_shelf_adds_up(&saga).await;
    println!("{trials} trials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_and_money_add_up_after_every_crash() {
    let saga = OrderSaga::set().await;
    let Report { crashes, .. } = try_crashes(&saga).await.unwrap_or_else(|breach| panic!("{breach}"));
    assert!(crashes > 30, "{crashes} crashes: is every commit tried?");
    the_shelf_adds_up(&saga).await;
    println!("{crashes} crashes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_vendors_add_up_under_every_fault() {
    let saga = OrderSaga::set_with_two_vendors().await;
    let Report { trials, .. } = try_faults(&saga).await.unwrap_or_else(|breach| panic!("{breach}"));
    assert!(trials > 50, "{trials} trials: is every step tried?");
    the_shelf_adds_up(&saga).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_vendors_add_up_after_every_crash() {
    let saga = OrderSaga::set_with_two_vendors().await;
    let Report { crashes, .. } = try_crashes(&saga).await.unwrap_or_else(|breach| panic!("{breach}"));
    assert!(crashes > 30, "{crashes} crashes: is every commit tried?");
    the_shelf_adds_up(&saga).await;
}
