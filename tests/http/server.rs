//! A server with workflows made for these tests, a worker if wanted, and a client that keeps status, headers and JSON.

use std::time::Duration;

use backstitch::{
    engine::{
        Activity, ActivityContext, ActivityError, Context, DEFAULT_MAX_PAYLOAD, Engine, Failure, NewKey, Registry,
        Role, Visibility, WorkerConfig, Workflow,
    },
    http::{App, serve},
    inbox::Inbox,
    orders::ShopSettings,
    shop::{self, Shop},
    telemetry::record,
    tls::install_crypto_provider,
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::{
    openapi::assert_stated,
    support::{
        TestDatabase,
        shop::{open_orders, wait_until_registered},
        wait_for,
    },
};

/// The worker that `/readyz` vouches for.
pub(crate) const WORKER: &str = "vouched-for";

/// The largest body of these servers.
pub(crate) const MAX_PAYLOAD: usize = 4096;

/// Gives its input back.
pub(crate) struct Echo;

#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Words {
    pub(crate) text: String,
}

impl Workflow for Echo {
    const NAME: &'static str = "echo";
    type Input = Words;
    type Output = Words;
    async fn run(&self, _: &Context, input: Words) -> Result<Words, Failure> {
        Ok(input)
    }
}

/// Reserves something, then waits for `go`; `go` with `false` lets it fail, so that the reservation is undone.
pub(crate) struct Patient;

impl Workflow for Patient {
    const NAME: &'static str = "patient";
    type Input = ();
    type Output = ();
    async fn run(&self, cx: &Context, (): ()) -> Result<(), Failure> {
        cx.call::<Hold>(()).await?;
        if cx.signal::<bool>("go").forever().await? {
            cx.pivot().await;
            cx.signal::<Value>("end").forever().await?;
            return Ok(());
        }
        Err(Failure::new("told_not_to", "the signal said no"))
    }
}

/// Only its service starts it; callers may say `hello`.
pub(crate) struct Inner;

impl Workflow for Inner {
    const NAME: &'static str = "inner";
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = ();
    type Output = ();
    fn public_signals() -> &'static [&'static str] {
        &["hello"]
    }
    async fn run(&self, cx: &Context, (): ()) -> Result<(), Failure> {
        cx.signal::<bool>("go").forever().await?;
        Ok(())
    }
}

/// Something that can be undone.
pub(crate) struct Hold;

impl Activity for Hold {
    const NAME: &'static str = "hold";
    const UNDOABLE: bool = true;
    type Input = ();
    type Output = ();
    async fn run(&self, _: &ActivityContext, (): &()) -> Result<(), ActivityError> {
        Ok(())
    }
    async fn undo(&self, _: &ActivityContext, (): &(), _: Option<&()>) -> Result<(), ActivityError> {
        Ok(())
    }
}

fn registry() -> Registry {
    Registry::new().described_workflow(Echo).workflow(Patient).workflow(Inner).activity(Hold)
}

/// A running server; it stops when this is dropped.
pub(crate) struct Server {
    url: String,
    client: reqwest::Client,
    pub(crate) engine: Engine,
    /// Stops the worker alone.
    pub(crate) worker: Option<CancellationToken>,
    pub(crate) stop: CancellationToken,
    pub(crate) database: Option<TestDatabase>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// API and worker.
    pub(crate) async fn working() -> Self {
        Self::working_as(&WorkerConfig::default().name).await
    }

    /// The same, with a worker of that name. One called [`WORKER`] is vouched for by `/readyz`.
    pub(crate) async fn working_as(name: &str) -> Self {
        let (mut server, engine) = Self::on_a_database(name == WORKER).await;
        server.work(&engine, name);
        wait_until_registered(&engine, &[Patient::NAME]).await;
        server
    }

    /// API and the worker that `/readyz` vouches for, on a database that somebody else keeps.
    pub(crate) async fn working_over(pool: PgPool) -> Self {
        let (mut server, engine) = Self::start(pool, None, true).await;
        open_orders(&engine, ShopSettings::default()).migrate().await.expect("the database is there");
        server.work(&engine, WORKER);
        server
    }

    fn work(&mut self, engine: &Engine, name: &str) {
        let stop = self.stop.child_token();
        self.worker = Some(stop.clone());
        let worker = engine.worker(WorkerConfig { name: name.to_owned(), slots: 20, ..WorkerConfig::default() });
        tokio::spawn(async move { worker.run(stop.cancelled_owned()).await });
    }

    /// The API alone: the workflows were known to a worker once, and nobody works on them.
    pub(crate) async fn idle() -> Self {
        let mut registered = Self::working().await;
        registered.stop.cancel();
        let mut server = Self::over(registered.pool().clone()).await;
        server.database = registered.database.take();
        server
    }

    /// The same, with the payloads that a server takes unless told otherwise.
    pub(crate) async fn roomy() -> Self {
        let mut registered = Self::working().await;
        registered.stop.cancel();
        let pool = registered.pool().clone();
        let mut server =
            Self::start_with(pool, registered.database.take(), false, DEFAULT_MAX_PAYLOAD, registry()).await.0;
        server.worker = None;
        server
    }

    /// The API alone, in a process that has the code of none of the workflows.
    pub(crate) async fn without_code(of: &Self) -> Self {
        Self::start_with(of.pool().clone(), None, false, MAX_PAYLOAD, Registry::new()).await.0
    }

    /// The API over a pool, whatever the database is.
    pub(crate) async fn over(pool: PgPool) -> Self {
        Self::start(pool, None, false).await.0
    }

    /// The API alone, and a key for each role: `keys.of(Role::Viewer)`.
    pub(crate) async fn keyed() -> (Self, Keys) {
        let server = Self::idle().await;
        let mut tokens = Vec::new();
        for role in Role::ALL.iter().copied() {
            let new = NewKey { name: role.to_string(), role, expires_in: None };
            tokens.push(server.engine.create_key(&new, "test").await.expect("a key").token);
        }
        (server, Keys(tokens))
    }

    async fn on_a_database(vouched: bool) -> (Self, Engine) {
        let database = TestDatabase::new().await;
        Self::start(database.pool().clone(), Some(database), vouched).await
    }

    async fn start(pool: PgPool, database: Option<TestDatabase>, vouched: bool) -> (Self, Engine) {
        Self::start_with(pool, database, vouched, MAX_PAYLOAD, registry()).await
    }

    async fn start_with(
        pool: PgPool,
        database: Option<TestDatabase>,
        vouched: bool,
        max_payload: usize,
        registry: Registry,
    ) -> (Self, Engine) {
        let recorder = record().expect("the recorder is ours");
        let engine = Engine::new(pool, registry).with_max_payload(max_payload);
        let mut app = shop::app(open_orders(&engine, ShopSettings::default())).with_metrics(recorder);
        if vouched {
            app = app.with_worker(WORKER.to_owned(), Duration::from_secs(15));
        }
        Self::serving(app, engine, database).await
    }

    /// The API alone with limits, over a pool.
    pub(crate) async fn limited(
        pool: &PgPool,
        key: Option<&str>,
        customer: Option<&str>,
        in_flight: Option<u32>,
    ) -> Self {
        let engine = Engine::new(pool.clone(), registry()).with_max_payload(MAX_PAYLOAD);
        let settings = ShopSettings { orders_in_flight: in_flight, ..ShopSettings::default() };
        let mut shop = Shop::new(open_orders(&engine, settings));
        let rate = |text: &str| text.parse().expect("a rate");
        if let Some(limit) = customer {
            shop = shop.with_customer_limit(rate(limit));
        }
        let mut app = App::new(engine.clone()).with_plugin(shop);
        if let Some(limit) = key {
            app = app.with_key_limit(rate(limit));
        }
        Self::serving(app, engine, None).await.0
    }

    /// The API alone with sources of events, over a pool, in a process without a worker.
    pub(crate) async fn receiving(pool: &PgPool, inbox: &str) -> Self {
        let engine = Engine::new(pool.clone(), registry()).with_max_payload(MAX_PAYLOAD);
        let app = App::new(engine.clone()).with_inbox(Inbox::parse(inbox).expect("sources"));
        let app = app.with_metrics(record().expect("the recorder is ours"));
        Self::serving(app, engine, None).await.0
    }

    /// The API alone, with so many starts that may wait for the database, over a pool.
    pub(crate) async fn with_waiting_starts(pool: &PgPool, most: usize) -> Self {
        let engine = Engine::new(pool.clone(), registry()).with_max_payload(MAX_PAYLOAD);
        let app = shop::app(open_orders(&engine, ShopSettings::default())).with_waiting_starts(most);
        Self::serving(app, engine, None).await.0
    }

    async fn serving(app: App, engine: Engine, database: Option<TestDatabase>) -> (Self, Engine) {
        install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let app = app.checking_streams_every(Duration::from_millis(50));
        tokio::spawn(serve(listener, app, stop.clone().cancelled_owned()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
        (Self { url, client, engine: engine.clone(), worker: None, stop, database }, engine)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.as_ref().expect("this server has a database").pool()
    }

    /// A request that is not JSON, or has headers.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(&body)).await
    }

    /// Starts a run and gives its id.
    pub(crate) async fn started(&self, workflow: &str, input: Value) -> String {
        let answer = self.post("/v1/runs", serde_json::json!({"workflow": workflow, "input": input})).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a run has this status.
    pub(crate) async fn until(&self, id: &str, status: &str) -> Value {
        wait_for(status, async || {
            let run = self.get(&format!("/v1/runs/{id}")).await.json;
            if run["status"] == status { Ok(run) } else { Err(run.to_string()) }
        })
        .await
    }

    /// Lets orders be placed, as if a worker of theirs had been here once.
    pub(crate) async fn know_orders(&self) {
        let query = "INSERT INTO backstitch.workflow (name, version) VALUES ('order', 1)";
        sqlx::query(query).execute(self.pool()).await.expect("a workflow");
    }

    /// How much is on record, so that a refused request can be shown to have changed nothing.
    pub(crate) async fn rows(&self) -> i64 {
        let query = "SELECT (SELECT count(*) FROM backstitch.run) + (SELECT count(*) FROM backstitch.signal)
            + (SELECT count(*) FROM backstitch.audit WHERE outcome = 'done') + (SELECT count(*) FROM backstitch.step)
            + (SELECT count(*) FROM shop.orders) + (SELECT count(*) FROM shop.items)";
        sqlx::query_scalar(query).fetch_one(self.pool()).await.expect("a count")
    }

    /// How many refusals are on record.
    pub(crate) async fn refusals(&self) -> i64 {
        let query = "SELECT count(*) FROM backstitch.audit WHERE outcome = 'refused'";
        sqlx::query_scalar(query).fetch_one(self.pool()).await.expect("a count")
    }
}

/// A token per role.
pub(crate) struct Keys(Vec<String>);

impl Keys {
    pub(crate) fn of(&self, role: Role) -> &str {
        &self.0[role as usize]
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) async fn to(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        assert!(status == StatusCode::NO_CONTENT || !json.is_null(), "{status}: {text}");
        assert_stated(method.as_str(), &path, status.as_u16(), json["code"].as_str());
        Self { status: status.as_u16(), headers, json }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts that this is a problem document with this status and code.
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        let json = &self.json;
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{json}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:backstitch:problem:{code}"));
        assert_eq!(json["request_id"], self.header("x-request-id"));
        assert!(json["title"].is_string() && json["detail"].is_string(), "{json}");
    }
}
