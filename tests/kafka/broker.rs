//! A broker of one's own, reached through a proxy.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use backstitch::{engine::outbox::Event, kafka::Brokers};
use rskafka::{
    client::{
        Client,
        partition::{Compression, UnknownTopicHandling},
    },
    record::Record,
};
use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Proxy, wait_until};

/// A running broker; it ends when this is dropped. It keeps everything in memory.
pub(crate) struct Broker {
    process: Child,
    pub(crate) proxy: Proxy,
    direct: Brokers,
    program: PathBuf,
    port: u16,
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Where the script has put it, or where the path has it.
fn program() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let fetched = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("broker/tansu");
    let on_path = || Command::new("tansu").arg("--version").stdout(Stdio::null()).status().is_ok();
    if fetched.exists() { Some(fetched) } else { on_path().then(|| "tansu".into()) }
}

/// The proxy is made for Postgres; what it relays is all the same to it.
fn port_of(proxy: &Proxy) -> u16 {
    proxy.url().parse::<PgConnectOptions>().expect("a URL").get_port()
}

async fn run(program: &Path, port: u16, advertised: u16) -> Child {
    let process = Command::new(program)
        .args(["broker", "--storage-engine", "memory://tansu/"])
        .args(["--listener-url", &format!("tcp://127.0.0.1:{port}")])
        .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{advertised}")])
        .stdout(Stdio::null())
        .spawn()
        .expect("the broker starts");
    wait_until("the broker listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    process
}

impl Broker {
    /// None where there is none to be had, and that is known.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = program() else {
            let known = std::env::var_os("BACKSTITCH_WITHOUT_BROKER").is_some();
            assert!(known, "there is no broker: scripts/ensure-broker.sh fetches one");
            eprintln!("LEFT OUT: there is no broker on this machine");
            return None;
        };
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr()).expect("a port").port();
        let proxy = Proxy::before(&format!("postgres://broker@127.0.0.1:{port}/none")).await;
        let process = run(&program, port, port_of(&proxy)).await;
        let direct = format!("127.0.0.1:{port}").parse().expect("an address");
        Some(Self { process, proxy, direct, program, port })
    }

    /// Kills it (SIGKILL). All that it has goes with it.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("SIGKILL is sent");
        self.process.wait().expect("it ends");
    }

    /// Another one in its place, which knows of nothing.
    pub(crate) async fn start_again(&mut self) {
        self.process = run(&self.program, self.port, port_of(&self.proxy)).await;
    }

    /// Where it is reached, by the proxy.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", port_of(&self.proxy))
    }

    /// The same as a service is told.
    pub(crate) fn servers(&self) -> Brokers {
        self.address().parse().expect("an address")
    }

    /// A client that does not go by the proxy until it reads what the broker says of itself.
    pub(crate) async fn client(&self) -> Client {
        self.direct.connect().await.expect("the broker answers")
    }

    pub(crate) async fn create_topic(&self, name: &str, partitions: i32) {
        let controller = self.client().await.controller_client().expect("a controller");
        controller.create_topic(name, partitions, 1, 5_000).await.expect("the topic is made");
    }

    /// Writes texts to a partition.
    pub(crate) async fn produce(&self, topic: &str, partition: i32, texts: &[String]) {
        let now = std::time::UNIX_EPOCH + std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        self.produce_at(now.into(), topic, partition, texts).await;
    }

    /// The same, as if at another time.
    pub(crate) async fn produce_at(
        &self,
        timestamp: chrono::DateTime<chrono::Utc>,
        topic: &str,
        partition: i32,
        texts: &[String],
    ) {
        let client = self.client().await;
        let client = client.partition_client(topic, partition, UnknownTopicHandling::Retry).await.expect("a partition");
        let record = |text: &String| Record {
            key: None,
            value: Some(text.clone().into_bytes()),
            headers: BTreeMap::new(),
            timestamp,
        };
        let records = texts.iter().map(record).collect();
        let written = client.produce(records, Compression::Gzip);
        tokio::time::timeout(Duration::from_secs(20), written).await.expect("in time").expect("written");
    }

    /// What is in a topic, with its keys, by partition. Nothing where there is no such topic.
    pub(crate) async fn read_topic(&self, topic: &str) -> Vec<(String, Event)> {
        let client = self.client().await;
        let topics = client.list_topics().await.expect("topics");
        let parts = topics.into_iter().find(|found| found.name == topic).map(|found| found.partitions);
        let mut all = Vec::new();
        for part in parts.into_iter().flatten() {
            let part = client.partition_client(topic, part, UnknownTopicHandling::Retry).await.expect("a partition");
            let mut offset = 0;
            loop {
                let (records, end) = part.fetch_records(offset, 1..1_000_000, 100).await.expect("records");
                for found in &records {
                    let text =
                        |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().expect("it has one")).expect("text");
                    let event = serde_json::from_str(&text(&found.record.value)).expect("a CloudEvent");
                    all.push((text(&found.record.key), event));
                    offset = found.offset + 1;
                }
                if offset >= end {
                    break;
                }
            }
        }
        all
    }
}
