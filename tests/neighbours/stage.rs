//! Where it happens. Each process has one address, and what it keeps in files it finds again.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use backstitch::{
    embedded::Embedded,
    engine::{Engine, outbox::Event},
    orders::{Orders, ShopSettings},
};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::process::{Child, Command};

use crate::{
    arrivals::{Arrivals, TOPICS},
    broker::Broker,
    customers::Front,
    support::{
        MailServer, at_rest, process,
        shop::{self, GATEWAY_TIMEOUT, NORTH, WEBHOOK_SECRET},
        wait_for_within, wait_until_within,
    },
};

pub(crate) const SKU: &str = "plenty";
pub(crate) const ON_HAND: i64 = 1_000_000;
const UP_WITHIN: Duration = Duration::from_secs(40);
/// From the last kill until all has settled.
const REST_WITHIN: Duration = Duration::from_secs(120);
/// What a killed worker was about to send is nobody else's for two minutes: as if they were over.
const END_CLAIMS: &str = "UPDATE shop.notification SET next_attempt_at = now()
    WHERE state IN ('pending', 'failed') AND next_attempt_at > now() + interval '20 seconds'";

/// So long after its death a relay's sinks are another's: as if it had passed.
const END_LEASES: &str = "UPDATE backstitch.event_sink SET leased_until = '-infinity'";

/// What can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// `serve --no-worker`: the API, and the relay of events.
    Api,
    /// `worker`: it pays, and sends notices.
    Worker,
    Stripe,
    North,
    Broker,
    Mail,
    Receiver,
}

pub(crate) struct Stage {
    pub(crate) pool: PgPool,
    pub(crate) engine: Engine,
    pub(crate) orders: Orders,
    pub(crate) broker: Broker,
    pub(crate) mail: MailServer,
    server: Embedded,
    folder: PathBuf,
    /// Of the API, Stripe, north and the receiver.
    addresses: [std::net::SocketAddr; 4],
    /// The API, the worker, Stripe, north and the receiver; none while it is killed.
    processes: [Option<Child>; 5],
    /// What each had done when it was killed.
    done: HashMap<Who, i64>,
}

impl Stage {
    /// None where a broker or a mail server can't be had, and that is known.
    pub(crate) async fn set() -> Option<Self> {
        let (broker, mail) = (Broker::start().await?, MailServer::start()?);
        let server = Embedded::temporary().await.expect("the server starts");
        process::run(&server.url(), &["migrate"]).await;
        let patient = PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_secs(20));
        let pool = patient.connect(&server.url()).await.expect("it takes connections");
        let addresses = [(); 4].map(|()| process::free_address());
        let [_, stripe, north, _] = addresses.map(|address| format!("http://{address}"));
        // This process looks, and starts the comparison of the books; it pays nothing.
        let vendors = shop::two_vendors(stripe, north, GATEWAY_TIMEOUT);
        let engine = Engine::new(pool.clone(), shop::shop_registry(&pool, vendors));
        let orders = shop::open_orders(&engine, ShopSettings::default());
        let folder = std::env::temp_dir().join(format!("neighbours-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let processes = [const { None }; 5];
        let done = HashMap::new();
        let mut stage = Self { pool, engine, orders, broker, mail, server, folder, addresses, processes, done };
        for who in [Who::Stripe, Who::North, Who::Receiver, Who::Api, Who::Worker] {
            stage.start_again(who).await;
        }
        shop::wait_until_registered(&stage.engine, &["order", "late_payment", "reconcile"]).await;
        let item = json!({"name": "Plenty", "price": 1000, "currency": "EUR", "on_hand": ON_HAND});
        stage.front().put(&format!("/v1/items/{SKU}"), &item).await;
        Some(stage)
    }

    pub(crate) fn front(&self) -> Front {
        Front::at(format!("http://{}", self.addresses[0]))
    }

    /// What has been done with it, as a number that grows.
    async fn done_with(&self, who: Who) -> i64 {
        let query = match who {
            Who::Api | Who::Receiver => "SELECT sequence FROM backstitch.event_sink WHERE name = 'webhook'",
            Who::Broker => "SELECT sequence FROM backstitch.event_sink WHERE name = 'kafka'",
            Who::Worker | Who::Mail => "SELECT count(*) FROM shop.notification WHERE state = 'sent'",
            Who::Stripe | Who::North => "SELECT count(*) FROM shop.orders WHERE captured > 0",
        };
        sqlx::query_scalar(query).fetch_optional(&self.pool).await.expect("reads").unwrap_or_default()
    }

    /// Waits until something has been done with it since it was killed before.
    pub(crate) async fn until_it_has_worked(&mut self, who: Who) {
        let before = self.done.get(&who).copied().unwrap_or_default();
        let works = async || self.done_with(who).await > before;
        wait_until_within(REST_WITHIN, &format!("{who:?} works"), works).await;
        let done = self.done_with(who).await;
        self.done.insert(who, done);
    }

    /// Kills it; of the broker, what it has acknowledged is read before.
    pub(crate) async fn kill(&mut self, who: Who, arrivals: &mut Arrivals) {
        match who {
            Who::Mail => self.mail.kill(),
            Who::Broker => {
                // Whatever is under way never gets an answer, and nothing more is sent.
                let relay = self.relay();
                process::stop(relay);
                self.broker.proxy.cut();
                arrivals.read_topics(&self.broker).await;
                self.broker.kill();
                process::go_on(relay);
            }
            _ => {
                let process = &mut self.processes[place(who)];
                process.take().expect("it runs").kill().await.expect("SIGKILL is sent");
            }
        }
    }

    /// Another one in its place, with what it kept; returns when it can be reached.
    pub(crate) async fn start_again(&mut self, who: Who) {
        let process = match who {
            Who::Mail => return self.mail.run(),
            Who::Broker => {
                // Its topics as they were, before anybody else may have them made with fewer partitions.
                let relay = self.relay();
                process::stop(relay);
                self.broker.start_again().await;
                for topic in TOPICS {
                    self.broker.create_topic(topic, 3).await;
                }
                return process::go_on(relay);
            }
            Who::Api => {
                let address = self.addresses[0].to_string();
                self.ours(&["serve", "--no-worker", "--listen", &address])
            }
            Who::Worker => self.ours(&["worker"]),
            Who::Stripe => self.simulator("stripe", 1),
            Who::North => self.simulator("acquirer", 2),
            Who::Receiver => self.receiver(),
        };
        self.processes[place(who)] = Some(process);
        sqlx::query(END_LEASES).execute(&self.pool).await.expect("they are over");
        match who {
            Who::Api => {
                let front = self.front();
                wait_until_within(UP_WITHIN, "the API is up", async || front.is_ready().await).await;
            }
            Who::Stripe | Who::North | Who::Receiver => {
                let address = self.addresses[place(who) - 1];
                let listens = async || tokio::net::TcpStream::connect(address).await.is_ok();
                wait_until_within(UP_WITHIN, &format!("{who:?} is up"), listens).await;
            }
            _ => {}
        }
    }

    /// The process that sends events.
    fn relay(&self) -> u32 {
        self.processes[place(Who::Api)].as_ref().and_then(Child::id).expect("it runs")
    }

    /// A process of ours, with all of its neighbours in its settings.
    fn ours(&self, args: &[&str]) -> Child {
        let [_, stripe, north, receiver] = self.addresses.map(|address| format!("http://{address}"));
        let vendor = |name: &str, kind: &str, url: &str| json!({"name": name, "kind": kind, "url": url, "key": "sk_test", "webhook_secret": WEBHOOK_SECRET, "weight": 1});
        let vendors = json!([vendor("stripe", "stripe", &stripe), vendor(NORTH, "acquirer", &north)]);
        let settings = [
            ("BACKSTITCH_VENDORS", vendors.to_string()),
            ("BACKSTITCH_PAYMENT_WINDOW", "2m".to_owned()),
            ("BACKSTITCH_REFUND_TIERS", "2s:70".to_owned()),
            ("BACKSTITCH_TAKEOVER_AFTER", "2s".to_owned()),
            ("BACKSTITCH_SMTP_URL", self.mail.url()),
            ("BACKSTITCH_MAIL_FROM", "shop@example.com".to_owned()),
            ("BACKSTITCH_EVENTS_URL", receiver),
            ("BACKSTITCH_EVENTS_SECRET", "hush".to_owned()),
            ("BACKSTITCH_KAFKA", self.broker.address()),
        ];
        start(process::shop(&self.server.url(), &stripe, args).envs(settings), &self.log())
    }

    fn simulator(&self, kind: &str, place: usize) -> Child {
        let vendor = if kind == "stripe" { "stripe" } else { NORTH };
        let hook = format!("http://{}/v1/webhooks/{vendor}", self.addresses[0]);
        let (address, ledger) = (self.addresses[place].to_string(), self.folder.join(kind));
        let mut command = process::backstitch(&self.server.url());
        command.args(["gateway-sim", "--kind", kind, "--listen", &address, "--hold", "2s", "--webhook-url", &hook]);
        start(command.arg("--ledger").arg(ledger).env("BACKSTITCH_WEBHOOK_SECRET", WEBHOOK_SECRET), &self.log())
    }

    fn receiver(&self) -> Child {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/receiver.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(self.addresses[3].port().to_string()).arg(self.folder.join("received"));
        start(command.kill_on_drop(true), &self.log())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// What the receiver of webhooks has taken, in the order in which it came.
    pub(crate) fn received(&self) -> Vec<Event> {
        let file = BufReader::new(File::open(self.folder.join("received")).expect("a file"));
        file.lines().map(|line| serde_json::from_str(&line.expect("a line")).expect("a CloudEvent")).collect()
    }

    /// No process of ours ends by itself.
    pub(crate) fn all_alive(&mut self) {
        let log = self.log();
        for process in self.processes.iter_mut().flatten() {
            let ended = process.try_wait().expect("it is ours");
            assert!(ended.is_none(), "a process ended by itself, {ended:?}: see {}", log.display());
        }
    }

    /// The payments of both vendors, as they have them.
    pub(crate) async fn payments(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for address in &self.addresses[1..3] {
            let url = reqwest::Url::parse(&format!("http://{address}/sim/ledger")).expect("a URL");
            let http = backstitch::tls::client(&url, Duration::from_secs(10)).expect("a client");
            let text = http.get(url).send().await.expect("an answer").text().await.expect("a body");
            let mut ledger: Value = serde_json::from_str(&text).expect("JSON");
            all.append(ledger["payments"].as_array_mut().expect("payments"));
        }
        all
    }

    pub(crate) async fn until_all_rest(&mut self) {
        let log = self.log();
        wait_for_within(REST_WITHIN, "all orders rest", async || {
            let open = at_rest::not_at_rest(&self.pool).await.map_err(|error| error.to_string())?;
            let first = open.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
            if open.is_empty() { Ok(()) } else { Err(format!("{} are not: {first}\n{}", open.len(), log.display())) }
        })
        .await;
        self.all_alive();
    }

    /// Until each sink has each event, and each notice is sent.
    pub(crate) async fn until_all_is_delivered(&mut self) {
        sqlx::query(END_CLAIMS).execute(&self.pool).await.expect("they are over");
        let unsent = "SELECT count(*) FROM shop.notification WHERE state <> 'sent'";
        wait_for_within(REST_WITHIN, "all is delivered", async || {
            let lag = self.engine.outbox_lag().await.map_err(|error| error.to_string())?;
            let notices: i64 =
                sqlx::query_scalar(unsent).fetch_one(&self.pool).await.map_err(|error| error.to_string())?;
            let names: Vec<&str> = lag.iter().map(|lag| lag.sink.as_str()).collect();
            assert_eq!(names, ["feed", "kafka", "notices", "webhook"]);
            let all = lag.iter().all(|lag| lag.rows == 0) && notices == 0;
            if all { Ok(()) } else { Err(format!("{notices} notices are not sent; {lag:?}")) }
        })
        .await;
        self.all_alive();
    }

    /// The end of a good test: the folder of a bad one stays.
    pub(crate) async fn strike(self) {
        let log = std::fs::read_to_string(self.log()).expect("the log is there");
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).take(5).collect();
        assert!(panics.is_empty(), "{panics:?}: see {}", self.log().display());
        self.pool.close().await;
        drop(self.processes);
        self.server.stop().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Its place among the processes.
fn place(who: Who) -> usize {
    match who {
        Who::Api => 0,
        Who::Worker => 1,
        Who::Stripe => 2,
        Who::North => 3,
        Who::Receiver | Who::Broker | Who::Mail => 4,
    }
}

fn start(command: &mut Command, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("a log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts")
}
