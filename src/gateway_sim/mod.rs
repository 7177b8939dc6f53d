//! A payment gateway to test against: a separate HTTP server with the subset of Stripe's API that we use, its own
//! ledger, and faults on demand.
//!
//! Endpoints are in `routes` (Stripe's), `acquirer_routes` (those of gateways that authorise and capture apart) and `admin` (`/sim/...`, ours). The payment token chooses the fault (see the
//! table in `faults`), which occurs on confirm or refund, never on create. State is in memory, and in a file if wanted
//! (`journal`); the bank's side of it is the pure `ledger`. `Idempotency-Key` works as at Stripe (`idempotency`): stored answers, including 500s, are
//! replayed. Webhooks are signed and retried a few times (`webhooks`). A call that has begun is completed even if the
//! client disconnects.
//!
//! # Late payments
//!
//! `tok_late_success` stands for slow payment methods (bank debits, vouchers). Its confirm answers 200 `processing`.
//! Gateways differ in what happens when the order expires, so both kinds exist ([`LateCancel`]):
//!
//! - `accepted` (default): the cancel answers `canceled`, like a gateway that voids asynchronously, or a voucher that
//!   is paid after all. The money still arrives, `late_after` later, as `payment_intent.succeeded`, and the intent
//!   reads `succeeded`. By then the order is cancelled and its run has ended: the payment must be accepted or refunded,
//!   never ignored.
//! - `refused`: the cancel answers 400 `payment_intent_unexpected_state` with the intent `processing`, as Stripe does;
//!   the money arrives `late_after` later. The workflow has to wait and ask until it is settled; another cancel then
//!   answers that it has succeeded.
//!
//! The delay counts from the first cancel, not from the confirm, so that a payment is late for any payment window
//! without the simulator knowing it. Without a cancel, the money arrives `late_at_most` after the confirm. `POST
//! /sim/settle` completes everything pending now.

mod acquirer;
mod acquirer_json;
mod acquirer_routes;
mod admin;
mod connection;
mod faults;
mod idempotency;
mod journal;
mod kept;
mod ledger;
mod objects;
mod params;
mod refunds;
mod routes;
mod webhooks;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{connection::CuttableListener, idempotency::KeyStore, journal::Journal, ledger::Ledger};
use crate::{Secret, payments::VendorKind};

pub use faults::{LateCancel, RefundFailure};

/// How often due money movements are carried out; every request does so too.
const TICK: Duration = Duration::from_millis(25);

/// Settings of the simulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it speaks.
    pub kind: VendorKind,
    /// Of an acquirer: how long its outcomes are pending.
    pub decides_after: Duration,
    /// The file that keeps the ledger over a restart; `None`: it is kept in memory.
    pub ledger: Option<PathBuf>,
    /// URL to post events to; `None`: none are sent.
    pub webhook_url: Option<String>,
    /// Signing secret for events.
    pub webhook_secret: Secret,
    /// How long to hold an unanswered call before dropping its connection (unless the client gives up first).
    pub hold: Duration,
    /// Duration of a `tok_slow` confirm.
    pub slow: Duration,
    /// `tok_late_success`: delay from the first cancel to the capture.
    pub late_after: Duration,
    /// `tok_late_success`: delay from the confirm to the capture without a cancel.
    pub late_at_most: Duration,
    /// `tok_late_success`: answer to a cancel.
    pub late_cancel: LateCancel,
    /// Duration of a pending refund.
    pub refund_settles_after: Duration,
    /// `tok_refund_fails`: how it fails.
    pub refund_failure: RefundFailure,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kind: VendorKind::Stripe,
            decides_after: Duration::from_millis(10),
            ledger: None,
            webhook_url: None,
            webhook_secret: Secret::new(""),
            hold: Duration::from_secs(30),
            slow: Duration::from_secs(2),
            late_after: Duration::from_secs(2),
            late_at_most: Duration::from_secs(15 * 60),
            late_cancel: LateCancel::default(),
            refund_settles_after: Duration::from_secs(3),
            refund_failure: RefundFailure::default(),
        }
    }
}

/// Serves until `shutdown` completes; held connections are dropped then.
///
/// # Errors
/// When the webhook client can't be built or the listener fails.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    // Dropping this future stops the tasks that it has spawned.
    let _stop_on_drop = stop.clone().drop_guard();
    let webhooks = webhooks::Sender::new(&config, stop.clone())?;
    let mut inner = Inner { ledger: Ledger::new(&config), keys: KeyStore::default(), unavailable: false };
    let journal = config.ledger.as_deref().map(|path| Journal::open(path, &mut inner)).transpose()?;
    let simulator = Arc::new(Simulator {
        hold: config.hold,
        inner: Mutex::new((inner, journal)),
        webhooks,
        stop: stop.clone(),
        tasks: TaskTracker::new(),
    });
    simulator.tasks.spawn(tick(simulator.clone()));
    let speaks = match config.kind {
        VendorKind::Stripe => routes::router(),
        VendorKind::Acquirer => acquirer_routes::router(),
    };
    let app = speaks
        .merge(admin::router())
        .with_state(simulator.clone())
        .into_make_service_with_connect_info::<connection::Cut>();
    let signal = {
        let stop = stop.clone();
        async move {
            shutdown.await;
            stop.cancel();
        }
    };
    let served = axum::serve(CuttableListener::new(listener), app).with_graceful_shutdown(signal).await;
    stop.cancel();
    simulator.tasks.close();
    simulator.tasks.wait().await;
    served
}

/// Binds `addr` (port 0: any) and serves in its own task.
///
/// # Errors
/// When the address can't be bound.
pub async fn start(addr: SocketAddr, config: Config) -> io::Result<Running> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, config, stop.clone().cancelled_owned()));
    Ok(Running { addr, stop, task })
}

/// A simulator in this process; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for [`crate::payments::GatewayConfig`].
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops and waits until everything has ended.
    ///
    /// # Errors
    /// What serving ended with.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        (&mut self.task).await.map_err(io::Error::other)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// State shared by the handlers.
struct Simulator {
    hold: Duration,
    inner: Mutex<(Inner, Option<Journal>)>,
    webhooks: webhooks::Sender,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The mutable state, behind one lock: a request is atomic, as at a bank.
struct Inner {
    ledger: Ledger,
    keys: KeyStore,
    unavailable: bool,
}

impl Simulator {
    /// Runs `work` on the present state, then sends the resulting events.
    fn with<T>(&self, work: impl FnOnce(&mut Inner, i64) -> T) -> T {
        let now = now_ms();
        let (result, events) = {
            let mut locked = self.lock();
            let (inner, journal) = &mut *locked;
            inner.ledger.advance(now);
            let result = work(&mut *inner, now);
            if let Some(Err(error)) = journal.as_mut().map(|journal| journal.write(inner)) {
                tracing::error!(%error, "the gateway simulator's ledger can't be written");
            }
            (result, inner.ledger.take_events())
        };
        self.webhooks.send_all(&self.tasks, events);
        result
    }

    /// After a panic in another handler the ledger stays readable: its steps are complete or not begun.
    fn lock(&self) -> MutexGuard<'_, (Inner, Option<Journal>)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out due money movements without a request.
async fn tick(simulator: Arc<Simulator>) {
    let mut interval = tokio::time::interval(TICK);
    while simulator.stop.run_until_cancelled(interval.tick()).await.is_some() {
        simulator.with(|_, _| ());
    }
}

/// The simulator's own clock, in Unix milliseconds: it represents another company's machine.
fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "another party's server, with a clock of its own")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}
