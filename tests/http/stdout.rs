//! A command whose output is lost fails and says so: on /dev/full, every command that prints.
//!
//! The commands are those of the binary: a new one fails this test until it has arguments here.

use std::{fs::OpenOptions, process::Stdio, time::Duration};

use backstitch::{
    cli::Cli,
    engine::{
        Activity, ActivityContext, ActivityError, Context, Engine, Failure, NewKey, Role, StartRun, Verb, WorkerConfig,
        Workflow, to_json,
    },
    http,
    inbox::Inbox,
    notices::{Channel, Recipient},
    orders::{SendNotification, ShopSettings},
    shop,
};
use clap::CommandFactory;
use serde_json::json;
use tokio::{net::TcpListener, process::Command};
use tokio_util::sync::CancellationToken;

use crate::{
    server::{Echo, Hold, Patient},
    support::{
        TestDatabase,
        engine::operator,
        shop::{gateway_at, open_orders, order_request, put_item, shop_registry},
        wait_until,
    },
};

/// What prints nothing on stdout.
const SILENT: [&str; 2] = ["migrate", "run signal"];

/// Stuck at its only activity, whose outcome is unknown.
struct Stuck;

impl Workflow for Stuck {
    const NAME: &'static str = "stuck";
    type Input = ();
    type Output = ();
    async fn run(&self, cx: &Context, (): ()) -> Result<(), Failure> {
        cx.pivot().await;
        Ok(cx.call::<Vague>(()).await?)
    }
}

struct Vague;

impl Activity for Vague {
    const NAME: &'static str = "vague";
    type Input = ();
    type Output = ();
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        Err(ActivityError::unknown("vague", "who knows").fatal())
    }
}

/// What the commands are tried on.
struct Stage {
    database: TestDatabase,
    /// Where `bench` leaves its runs.
    other: TestDatabase,
    /// A file of figures that can be drawn.
    figures: String,
    url: String,
    engine: Engine,
    waiting: String,
    paused: String,
    /// Another one that is paused.
    forkable: String,
    stuck: String,
    /// The number of its step.
    seq: String,
    order: String,
    operation: String,
    notification: String,
    /// An event from outside that is parked.
    event: String,
    /// The id of a key that may be revoked.
    key: String,
    /// What the commands show to the server.
    token: String,
    stop: CancellationToken,
}

impl Stage {
    async fn set() -> Self {
        backstitch::tls::install_crypto_provider();
        let (database, other) = (TestDatabase::new().await, TestDatabase::new().await);
        let pool = database.pool().clone();
        // No payment gateway is there: orders stay at their first steps.
        let gateway = gateway_at("http://127.0.0.1:9".to_owned(), Duration::from_millis(100));
        let registry = shop_registry(&pool, std::sync::Arc::new(gateway));
        let registry = registry.workflow(Echo).workflow(Patient).workflow(Stuck).activity(Hold).activity(Vague);
        let engine = Engine::new(pool, registry);
        let stop = CancellationToken::new();
        let worker = engine.worker(WorkerConfig { slots: 20, ..WorkerConfig::default() });
        tokio::spawn(worker.run(stop.clone().cancelled_owned()));
        let orders = open_orders(&engine, ShopSettings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inbox = Inbox::parse(r#"{"sources": [{"name": "crm", "rules": []}]}"#).expect("a source");
        let app = shop::app(orders.clone()).with_inbox(inbox);
        tokio::spawn(http::serve(listener, app, stop.clone().cancelled_owned()));
        put_item(&orders, "plenty", 5).await;
        let order = orders.place(&order_request("tok_ok", &[("plenty", 1)]), None).await.expect("an order").order.id;
        let (waiting, _) = start::<Patient>(&engine, "waiting").await;
        let (paused, id) = start::<Patient>(&engine, "waiting").await;
        let (forkable, second) = start::<Patient>(&engine, "waiting").await;
        for id in [id, second] {
            engine.apply_verb(id, &Verb::Pause, &operator()).await.expect("it can be paused");
        }
        let (stuck, id) = start::<Stuck>(&engine, "stuck").await;
        let steps = engine.run(id).await.expect("it can be read").steps.expect("steps");
        let seq = steps.iter().find(|step| step.name == Vague::NAME).expect("its step").seq.to_string();
        let create = async |role: Role| {
            let new = NewKey { name: role.to_string(), role, expires_in: None };
            engine.create_key(&new, "test").await.expect("a key")
        };
        let (key, token) = (create(Role::Viewer).await.key.id, create(Role::Admin).await.token);
        let request = SendNotification {
            order_id: order,
            about: "order.placed".to_owned(),
            recipient: Recipient::Operator,
            channel: Some(Channel::Log),
        };
        let notification =
            orders.send_notification(&request, None).await.expect("it is made").0.items[0].id.to_string();
        let (order, event) = (order.to_string(), park_an_event(&engine).await);
        let mut stage = Self {
            database,
            other,
            figures: draw_from(),
            url,
            engine,
            waiting,
            paused,
            forkable,
            stuck,
            seq,
            order,
            operation: String::new(),
            event,
            notification,
            key,
            token,
            stop,
        };
        stage.operation = stage.pause_an_operation().await;
        stage.add_a_sink().await;
        stage
    }

    /// A bulk operation that stays as it is: following it ends at once.
    async fn pause_an_operation(&self) -> String {
        let body = json!({"action": "acknowledge", "filter": {"workflow": Stuck::NAME}, "reason": "r"});
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let post = async |path: &str, body: &serde_json::Value| {
            let answer = client
                .post(format!("{}/v1/operations{path}", self.url))
                .json(body)
                .bearer_auth(&self.token)
                .send()
                .await;
            let text = answer.expect("an answer").text().await.expect("a body");
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
        };
        let created = post("", &body).await;
        let id = created["id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        post(&format!("/{id}/pause"), &json!({"reason": "r"})).await;
        id
    }

    /// A sink that has got nothing, though there is something for it.
    async fn add_a_sink(&self) {
        let query = "INSERT INTO backstitch.event_sink (name, sequence) VALUES ('gone', 0)";
        sqlx::query(query).execute(self.database.pool()).await.expect("a sink");
        while self.engine.newest_event().await.expect("a number") == 0 {
            self.engine.number_events().await.expect("numbers");
        }
    }

    /// Arguments with which a command prints something; none for one that this test doesn't know.
    fn arguments(&self, command: &str) -> Option<Vec<&str>> {
        let (run, stuck, id) = (self.waiting.as_str(), self.stuck.as_str(), self.operation.as_str());
        let (order, seq) = (self.order.as_str(), self.seq.as_str());
        let sure = ["--reason", "r", "--dry-run"];
        let any_port = ["--listen", "127.0.0.1:0"];
        Some(match command {
            "attention list" | "audit" | "fleet queues" | "fleet workers" | "fleet workflows" | "key list"
            | "doctor" | "openapi" | "man" | "run list" | "retention list" | "schedule list" | "operation list"
            | "hold list" | "order list" | "reconcile" | "event list" | "event sinks" | "inbox list"
            | "vendor list" | "provider list" | "notification list" => vec![],
            "completions" => vec!["bash"],
            "demo" => vec!["--orders", "1"],
            "bench" => vec!["--runs", "1", "--database-url", self.other.url(), "--schema", "measured"],
            "bench compare" => {
                let other = ["--with", "other=echo '{\"runs_per_s\": 1}'", "--database-url", self.other.url()];
                [&["--runs", "1", "--rounds", "1"][..], &other].concat()
            }
            "bench chart" => vec![&self.figures],
            "dev" => [&any_port[..], &["--gateway-listen", "127.0.0.1:0"]].concat(),
            "serve" | "worker" | "gateway-sim" => any_port.to_vec(),
            "key create" => vec!["somebody", "--role", "viewer"],
            "key revoke" => vec![&self.key],
            "run start" => vec!["echo", "--input", r#"{"text":"x"}"#],
            "run show" | "run why" | "run export" | "run watch" | "run acknowledge" => vec![run],
            "run cancel" | "run abandon" | "run compensate" | "run pause" => [&[run], &sure[..]].concat(),
            "run resume" => vec![&self.paused],
            "run fork" => [&[self.forkable.as_str(), "--from", "1"], &sure[..]].concat(),
            "run retry" => [&[stuck], &sure[..]].concat(),
            "run skip" => [&[stuck, seq], &sure[..]].concat(),
            "run resolve" => [&[stuck, seq, "--outcome", "ok"], &sure[..]].concat(),
            "retention set" => vec!["echo", "90d", "--dry-run"],
            "retention run" => vec!["--dry-run"],
            "schedule set" => vec!["s", "--cron", "0 5 * * *", "--workflow", "echo", "--input", r#"{"text":"x"}"#],
            "schedule show" | "schedule pause" | "schedule resume" | "schedule run" | "schedule delete" => vec!["s"],
            "operation show" | "operation watch" | "operation pause" | "operation resume" | "operation cancel" => {
                vec![id]
            }
            "hold set" | "hold release" => vec!["queue", "mail", "--reason", "r"],
            "notification resend" => vec![&self.notification],
            "inbox show" => vec![&self.event],
            "inbox retry" => vec![&self.event, "--dry-run"],
            "inbox discard" => vec![&self.event, "--reason", "r"],
            "event skip" => [&["gone", "1"], &sure[..]].concat(),
            "provider set" => vec!["log", "auto", "--reason", "r"],
            "vendor set" => vec!["stripe", "auto", "--reason", "r"],
            "order place" => vec!["--sku", "plenty", "--payment", "tok_ok"],
            "order show" | "order cancel" => vec![order],
            _ => return None,
        })
    }

    /// Runs a command whose stdout is full; gives its exit status and what it says.
    async fn run_full(&self, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a device that is full");
        let mut process = Command::new(env!("CARGO_BIN_EXE_backstitch"));
        process.args(command.split(' ')).args(arguments).env("BACKSTITCH_URL", &self.url);
        process.env("BACKSTITCH_API_KEY", &self.token).env("DATABASE_URL", self.database.url());
        process.stdin(Stdio::null()).stdout(full).stderr(Stdio::piped()).kill_on_drop(true);
        let ended =
            tokio::time::timeout(Duration::from_secs(200), process.spawn().expect("it starts").wait_with_output());
        let output = ended.await.unwrap_or_else(|_| panic!("`{command}` goes on")).expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// By rules that the server has not got.
async fn park_an_event(engine: &Engine) -> String {
    let text = r#"{"sources": [{"name": "crm", "rules": [{"type": "t", "versions": [], "then": "ignore"}]}]}"#;
    let mapping = Inbox::parse(text).expect("a source").mappings().remove(0);
    let event = mapping.read(json!({"id": "1", "type": "t"})).expect("an event");
    engine.receive(&mapping, &event).await.expect("it is taken");
    let parked = engine.received_events(&Default::default()).await.expect("a list").items.remove(0);
    parked.id.to_string()
}

async fn start<W: Workflow<Input = ()>>(engine: &Engine, status: &str) -> (String, backstitch::engine::RunId) {
    let request = StartRun::named(W::NAME, to_json(&()).expect("JSON"));
    let id = engine.start(request).await.expect("it starts").run;
    wait_until("the run is where it is to be", async || engine.run(id).await.is_ok_and(|run| run.status == status))
        .await;
    (id.to_string(), id)
}

/// A soak of two samples.
fn draw_from() -> String {
    let sample = |second: u64| serde_json::json!({"second": second, "started": second, "open_runs": 0, "dead_rows": 1, "index_mb": 1.0, "rss_mb": 1.0, "snapshot": false});
    let soak = serde_json::json!([{"scenario": "soak", "plain_of_start": 1.0, "samples": [sample(0), sample(1)]}]);
    let file = format!("{}/drawn-{}.json", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&file, soak.to_string()).expect("a file");
    file
}

/// The full names of all commands that do something, in the order of their help.
fn leaves(command: &clap::Command, name: &str, found: &mut Vec<String>) {
    let mut verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help").peekable();
    if verbs.peek().is_none() {
        found.push(name.to_owned());
    }
    verbs.for_each(|verb| leaves(verb, format!("{name} {}", verb.get_name()).trim_start(), found));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_and_the_demo_fail_when_output_is_lost() {
    let stage = Stage::set().await;
    let mut commands = Vec::new();
    leaves(&Cli::command(), "", &mut commands);
    assert!(commands.len() > 50, "{commands:?}");
    let mut wrong = Vec::new();
    for command in commands.iter().filter(|command| !SILENT.contains(&command.as_str())) {
        let Some(mut arguments) = stage.arguments(command) else {
            wrong.push(format!("{command}: has no arguments in this test"));
            continue;
        };
        if !matches!(command.as_str(), "worker" | "serve" | "dev" | "gateway-sim" | "bench chart") {
            arguments.extend(["-o", "json"]);
        }
        let (status, said) = stage.run_full(command, &arguments).await;
        if status != Some(1) || !said.contains("stdout could not be written: No space left on device") {
            wrong.push(format!("{command}: {status:?}: {said}"));
        }
    }
    for flag in ["--help", "--version", "run --help"] {
        let (status, said) = stage.run_full(flag, &[]).await;
        assert!(status == Some(1) && said.contains("stdout could not be written"), "{flag}: {status:?}: {said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut keys = stage.engine.keys().await.expect("the keys");
    keys.retain(|key| key.state.word() != "revoked");
    assert_eq!(keys.len(), 1, "beside the test's own, an active key whose token is lost: {keys:?}");
    stage.stop.cancel();
}

#[tokio::test]
async fn a_reader_that_has_gone_changes_no_exit_status() {
    let database = TestDatabase::new().await;
    let gone = async |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut process = Command::new(env!("CARGO_BIN_EXE_backstitch"));
        process.args(arguments).env("DATABASE_URL", database.url()).stdin(Stdio::null()).stdout(writer);
        process.stderr(Stdio::null()).status().await.expect("it runs").code()
    };
    assert_eq!(gone(&["openapi"]).await, Some(0));
    assert_eq!(gone(&["--help"]).await, Some(0));
    assert_eq!(gone(&["key", "create", "k", "--role", "viewer"]).await, Some(1), "nobody has the token");
    sqlx::query("UPDATE backstitch.clock SET shift = '1 s'").execute(database.pool()).await.expect("it can be moved");
    assert_eq!(gone(&["doctor"]).await, Some(1), "a breach stays one");
}
