//! A server with a shop and two workflows made for these tests, and what has happened on it.
//!
//! `trip` books three things and then fails, so that they are undone. `parcel` passes its pivot and then needs a printer: as
//! long as the printer is out of paper its runs get stuck, with paper a retry helps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backstitch::{
    engine::{
        Activity, ActivityContext, ActivityError, CatchUp, Context, Engine, Failure, MaintenanceConfig, Operator,
        Overlap, Policy, Retry, RunId, ScheduleSpec, StartRun, WorkerConfig, Workflow,
    },
    http,
    orders::{Orders, PutItem, ShopSettings},
    shop,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::support::{
    TestDatabase,
    shop::{GATEWAY_TIMEOUT, Simulator, open_orders, order_request, shop_registry, wait_until_registered, webhooks_to},
    wait_for,
};

/// How long a booking takes: enough for a bar that can be seen.
const BOOKING: Duration = Duration::from_millis(120);

/// What is booked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Booking {
    traveller: String,
    what: String,
    price: i64,
}

macro_rules! bookings {
    ($($name:ident $word:literal),+) => {$(
        struct $name;

        impl Activity for $name {
            const NAME: &'static str = $word;
            const UNDOABLE: bool = true;
            type Input = Booking;
            type Output = String;
            async fn run(&self, cx: &ActivityContext, _: &Booking) -> Result<String, ActivityError> {
                tokio::time::sleep(BOOKING).await;
                Ok(format!("{}-{}", $word, cx.run_id().simple()))
            }
            async fn undo(&self, _: &ActivityContext, _: &Booking, _: Option<&String>) -> Result<(), ActivityError> {
                tokio::time::sleep(BOOKING).await;
                Ok(())
            }
        }
    )+};
}
bookings!(Flight "book_flight", Hotel "book_hotel", Car "book_car");

/// Never has a card that works.
struct Card;

impl Activity for Card {
    const NAME: &'static str = "charge_card";
    type Input = Booking;
    type Output = ();
    fn policy() -> Policy {
        let retry = Retry { max_attempts: 3, first: Duration::from_millis(150), ..Retry::default() };
        Policy { retry, ..Policy::default() }
    }
    async fn run(&self, _: &ActivityContext, _: &Booking) -> Result<(), ActivityError> {
        tokio::time::sleep(BOOKING).await;
        Err(ActivityError::failed("card_declined", "the bank says no: insufficient funds"))
    }
}

struct Trip;

impl Workflow for Trip {
    const NAME: &'static str = "trip";
    type Input = Booking;
    type Output = ();
    async fn run(&self, cx: &Context, trip: Booking) -> Result<(), Failure> {
        cx.call::<Flight>(trip.clone()).await?;
        cx.call::<Hotel>(trip.clone()).await?;
        cx.call::<Car>(trip.clone()).await?;
        Ok(cx.call::<Card>(trip).await?)
    }
}

/// Prints, if there is paper.
struct Printer(Arc<AtomicBool>);

impl Activity for Printer {
    const NAME: &'static str = "print_label";
    type Input = String;
    type Output = String;
    fn policy() -> Policy {
        Policy { retry: Retry::NEVER, ..Policy::default() }
    }
    async fn run(&self, _: &ActivityContext, label: &String) -> Result<String, ActivityError> {
        tokio::time::sleep(BOOKING / 4).await;
        if self.0.load(Ordering::SeqCst) {
            return Ok(format!("label for {label}"));
        }
        Err(ActivityError::failed("out_of_paper", "printer 7 has no paper"))
    }
}

struct Parcel;

impl Workflow for Parcel {
    const NAME: &'static str = "parcel";
    type Input = Booking;
    type Output = String;
    async fn run(&self, cx: &Context, parcel: Booking) -> Result<String, Failure> {
        let label = parcel.traveller.clone();
        cx.call::<Car>(parcel).await?;
        cx.pivot().await;
        Ok(cx.call::<Printer>(label).await?)
    }
}

/// Waits for somebody to say `go`.
struct Wait;

impl Workflow for Wait {
    const NAME: &'static str = "approval";
    type Input = Booking;
    type Output = bool;
    async fn run(&self, cx: &Context, trip: Booking) -> Result<bool, Failure> {
        cx.call::<Hotel>(trip).await?;
        Ok(cx.signal::<bool>("go").within(Duration::from_secs(86_400)).await.ok().flatten().unwrap_or(false))
    }
}

/// Everything that pages show.
pub(crate) struct Stage {
    pub(crate) url: String,
    pub(crate) engine: Engine,
    pub(crate) orders: Orders,
    paper: Arc<AtomicBool>,
    _gateway: Simulator,
    _stop: DropGuard,
    _database: TestDatabase,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let database = TestDatabase::new().await;
        let pool = database.pool().clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let simulator = Simulator::start(webhooks_to(format!("{url}/v1/webhooks/stripe"))).await;
        let paper = Arc::new(AtomicBool::new(false));
        let registry = shop_registry(&pool, Arc::new(simulator.gateway(GATEWAY_TIMEOUT)))
            .workflow(Trip)
            .workflow(Parcel)
            .workflow(Wait)
            .activity(Flight)
            .activity(Hotel)
            .activity(Car)
            .activity(Card)
            .activity(Printer(paper.clone()));
        let engine = Engine::new(pool, registry);
        let orders = open_orders(&engine, ShopSettings::default());
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(listener, shop::app(orders.clone()), stop.clone().cancelled_owned()));
        let config = WorkerConfig {
            name: "worker-1".to_owned(),
            poll_interval: Duration::from_millis(50),
            ..WorkerConfig::default()
        };
        tokio::spawn(engine.worker(config).run(stop.clone().cancelled_owned()));
        tokio::spawn(engine.maintenance(MaintenanceConfig::default()).run(stop.clone().cancelled_owned()));
        let stage =
            Self { url, engine, orders, paper, _gateway: simulator, _stop: stop.drop_guard(), _database: database };
        wait_until_registered(&stage.engine, &["order", Trip::NAME, Parcel::NAME, Wait::NAME]).await;
        let item =
            PutItem { name: "Tea".to_owned(), price: 1250, currency: "EUR".to_owned(), on_hand: 100, seller: None };
        stage.orders.put_item("tea", &item).await.expect("an item");
        stage
    }

    /// From now on the printer has paper.
    pub(crate) fn give_paper(&self) {
        self.paper.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn start(&self, workflow: &str, traveller: &str) -> RunId {
        let input = Booking { traveller: traveller.to_owned(), what: "Lisbon, two nights".to_owned(), price: 41_900 };
        let json = backstitch::engine::to_json(&input).expect("JSON");
        let request = StartRun::named(workflow, json).key(format!("{workflow}-{traveller}"));
        self.engine.start(request).await.expect("it starts").run
    }

    /// Sets a schedule that sends a parcel every night.
    pub(crate) async fn schedule(&self, name: &str) {
        let json = r#"{"traveller":"night mail","what":"a parcel","price":500}"#.to_owned();
        let input = serde_json::value::RawValue::from_string(json).expect("JSON").into();
        let spec = ScheduleSpec {
            cron: "30 2 * * *".to_owned(),
            time_zone: "Europe/Lisbon".to_owned(),
            workflow: "parcel".to_owned(),
            input,
            queue: None,
            overlap: Overlap::Skip,
            catch_up: CatchUp::Latest,
            paused: None,
        };
        let by = Operator { actor: "day-shift".to_owned(), ..Operator::default() };
        self.engine.set_schedule(name, &spec, &by).await.expect("a schedule");
    }

    /// Starts a run, and waits until it has this status.
    pub(crate) async fn run(&self, workflow: &str, traveller: &str, status: &str) -> RunId {
        let run = self.start(workflow, traveller).await;
        self.until(run, status).await;
        run
    }

    pub(crate) async fn until(&self, run: RunId, status: &str) {
        wait_for(&format!("the run is {status}"), async || {
            let seen = self.engine.run(run).await.map_err(|error| error.to_string())?.status;
            if seen == status { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    }

    /// Places an order that is paid with this token.
    pub(crate) async fn order(&self, token: &str, quantity: i64) -> Uuid {
        let request = order_request(token, &[("tea", quantity)]);
        self.orders.place(&request, None).await.expect("an order").order.id
    }

    /// Places an order, and waits until its run has this status.
    pub(crate) async fn order_until(&self, token: &str, quantity: i64, status: &str) -> (Uuid, RunId) {
        let order = self.order(token, quantity).await;
        let run = self.orders.get(order).await.expect("an order").run_id;
        self.until(run, status).await;
        (order, run)
    }
}
