//! Settings that several commands share, as flags with environment variables of the same meaning.
//!
//! These concern the process: database, address, sizes, gateway. The shop's own are in `orders::settings`.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use anyhow::Context;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    Secret,
    engine::{DEFAULT_SCHEMA, Engine, Rate, Registry, guarded},
    inbox::Inbox,
};
#[cfg(feature = "kafka")]
use crate::{kafka::Brokers, sinks::Topics};

/// How long a request waits for a connection before it fails with `database_unavailable`.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);

/// A transaction of ours that stands still for longer has lost its process or its connection, and holds locks that others wait for.
const STANDS_STILL_AT_MOST: Duration = Duration::from_secs(10);

/// The database.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The database, as postgres://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,
    /// Which schema of it.
    #[command(flatten)]
    pub schema: SchemaArgs,
}

/// Which schema of a database.
#[derive(Clone, Debug, clap::Args)]
pub struct SchemaArgs {
    /// The schema that the engine's tables are in
    #[arg(id = "schema", long = "schema", value_name = "NAME", env = "BACKSTITCH_SCHEMA", default_value = DEFAULT_SCHEMA)]
    pub name: String,
}

impl Default for SchemaArgs {
    fn default() -> Self {
        Self { name: DEFAULT_SCHEMA.to_owned() }
    }
}

impl DatabaseArgs {
    /// A pool of at most that many connections, opened on demand.
    ///
    /// # Errors
    /// When the URL is invalid.
    pub fn pool(&self, connections: u32) -> anyhow::Result<PgPool> {
        pool(self.database_url.expose(), connections)
    }

    /// An engine without workflows, for what concerns the database as a whole.
    ///
    /// # Errors
    /// When the URL is none, or the schema's name can't be one.
    pub fn engine(&self) -> anyhow::Result<Engine> {
        Ok(Engine::new(self.pool(2)?, Registry::new()).with_schema(&self.schema.name)?)
    }
}

/// A pool over a URL; opens no connection yet.
///
/// # Errors
/// When the URL is invalid.
pub fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    let options = read_url(url)?
        .application_name("backstitch api")
        .options([("idle_in_transaction_session_timeout", STANDS_STILL_AT_MOST.as_millis().to_string())]);
    let pool = guarded(PgPoolOptions::new()).max_connections(connections).acquire_timeout(ACQUIRE_WITHIN);
    Ok(pool.connect_lazy_with(options))
}

/// What a URL says of a database.
fn read_url(url: &str) -> anyhow::Result<PgConnectOptions> {
    // Its reader takes any scheme, and another server's URL for ours.
    let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    anyhow::ensure!(is_ours, "--database-url (DATABASE_URL) is not a Postgres URL: those begin with postgres://");
    let options = PgConnectOptions::from_str(url).context("--database-url (DATABASE_URL) is not a Postgres URL")?;
    // The brackets around an IPv6 address belong to the URL; no resolver knows them.
    let bare = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
    Ok(match bare {
        Some(host) => options.host(&host),
        None => options,
    })
}

/// How the API is served.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Listen address; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Maximum size of a request body or payload
    #[arg(long, value_name = "SIZE", env = "BACKSTITCH_MAX_PAYLOAD", default_value = "1MiB")]
    pub max_payload: ByteSize,
    /// Memory for all request bodies at a time; beyond it requests are refused
    #[arg(long, value_name = "SIZE", env = "BACKSTITCH_BODY_MEMORY", default_value = "256MiB")]
    pub body_memory: ByteSize,
    /// How often each API key and each customer may write, as key=100/s,customer=5/s
    #[arg(long, value_name = "LIMITS", env = "BACKSTITCH_RATE_LIMIT", default_value = "", hide_default_value = true)]
    pub rate_limit: RateLimits,
    /// File of the sources of events from outside and what comes of their events
    #[arg(long, value_name = "FILE", env = "BACKSTITCH_INBOX", value_parser = inbox)]
    pub inbox: Option<Inbox>,
    /// Send events that leave to this URL, signed
    #[arg(long, value_name = "URL", env = "BACKSTITCH_EVENTS_URL", requires = "events_secret")]
    pub events_url: Option<String>,
    /// What they are signed with: a text, or `whsec_` and base64
    #[arg(long, value_name = "SECRET", env = "BACKSTITCH_EVENTS_SECRET", hide_env_values = true)]
    pub events_secret: Option<Secret>,
    /// Write events that leave to the standard output, a line of JSON each
    #[arg(long, env = "BACKSTITCH_EVENTS_STDOUT")]
    pub events_stdout: bool,
    /// Kafka topics of events of orders, payments and stock
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "NAMES", env = "BACKSTITCH_KAFKA_TOPICS", default_value = "orders,payments,stock")]
    pub kafka_topics: Topics,
    /// Kafka's bootstrap servers, as host:port,host:port: events that leave are sent there, and topics are read
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "SERVERS", env = "BACKSTITCH_KAFKA")]
    pub kafka: Option<Brokers>,
    /// Serve other machines even without API keys: only behind an authenticating proxy
    #[arg(long, env = "BACKSTITCH_NO_AUTH")]
    pub no_auth: bool,
}

/// Worker settings of this process.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkArgs {
    /// How long to keep ended runs of workflows without a retention of their own
    #[arg(long, value_name = "DURATION", env = "BACKSTITCH_RETENTION", default_value = "30d", value_parser = retention)]
    pub retention: Duration,
    /// Queue to serve; may be repeated
    #[arg(long = "queue", value_name = "Q", default_value = "default")]
    pub queues: Vec<String>,
    /// Maximum number of runs in progress at the same time
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = slots)]
    pub slots: usize,
    /// Take over the runs of a worker without a heartbeat for this long
    #[arg(long, value_name = "DURATION", env = "BACKSTITCH_TAKEOVER_AFTER", default_value = "15s", value_parser = takeover_after)]
    pub takeover_after: Duration,
    /// How long running attempts may continue after the process is asked to stop
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = drain)]
    pub drain: Duration,
}

/// The longest of any setting: what is longer is a typing error, and no clock can add it.
const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

fn retention(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_hours(1), A_CENTURY, "a duration of an hour or more, such as 30d")
}

fn takeover_after(text: &str) -> Result<Duration, String> {
    let most = Duration::from_hours(24);
    duration(text, Duration::from_secs(1), most, "a duration from 1s to 24h, such as 15s")
}

fn drain(text: &str) -> Result<Duration, String> {
    duration(text, Duration::ZERO, Duration::from_hours(24), "a duration of at most 24h, such as 30s")
}

fn gateway_timeout(text: &str) -> Result<Duration, String> {
    let most = Duration::from_hours(1);
    duration(text, Duration::from_millis(1), most, "a duration from 1ms to 1h, such as 5s")
}

fn duration(text: &str, least: Duration, most: Duration, wanted: &str) -> Result<Duration, String> {
    let read = humantime::parse_duration(text).ok().filter(|span| (least..=most).contains(span));
    read.ok_or_else(|| wanted.to_owned())
}

fn inbox(path: &str) -> Result<Inbox, String> {
    Inbox::read(path.as_ref()).map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

fn slots(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(slots @ 1..=100_000) => Ok(slots),
        _ => Err("a number from 1 to 100000".to_owned()),
    }
}

/// The payment gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct GatewayArgs {
    /// The gateway's base URL
    #[arg(long, value_name = "URL", env = "BACKSTITCH_GATEWAY_URL", default_value = "http://127.0.0.1:8081")]
    pub gateway_url: String,
    /// The gateway's API key
    #[arg(
        long,
        value_name = "KEY",
        env = "BACKSTITCH_GATEWAY_KEY",
        default_value = "sk_test_simulator",
        hide_env_values = true,
        hide_default_value = true
    )]
    pub gateway_key: Secret,
    /// Timeout of a call to the gateway
    #[arg(long, value_name = "DURATION", env = "BACKSTITCH_GATEWAY_TIMEOUT", default_value = "5s", value_parser = gateway_timeout)]
    pub gateway_timeout: Duration,
    /// Several payment vendors in place of that gateway, as a JSON array of {"name", "kind", "url", "key", "webhook_secret", "weight"}
    #[arg(long, value_name = "JSON", env = "BACKSTITCH_VENDORS", hide_env_values = true)]
    pub vendors: Option<Secret>,
    /// Webhook signing secret; webhooks are rejected without it
    #[arg(long, value_name = "SECRET", env = "BACKSTITCH_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<Secret>,
}

/// How often callers may write, as `key=100/s,customer=5/s`; what is left out is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Each API key.
    pub key: Option<Rate>,
    /// Each of the shop's customers.
    pub customer: Option<Rate>,
}

impl FromStr for RateLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (of, rate) = part.split_once('=').ok_or_else(|| format!("{part:?}: write key=100/s,customer=5/s"))?;
            let limit = match of {
                "key" => &mut limits.key,
                "customer" => &mut limits.customer,
                _ => return Err(format!("{of:?} is neither key nor customer")),
            };
            if limit.replace(rate.parse()?).is_some() {
                return Err(format!("{of} is limited twice"));
            }
        }
        Ok(limits)
    }
}

/// A number of bytes, written as `512`, `64KiB` or `1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(
    /// Bytes.
    pub usize,
);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let unit = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            other => return Err(format!("{other} is not one of B, KiB, MiB, GiB")),
        };
        let number: usize = digits.parse().map_err(|_| format!("{digits:?} is not a whole number"))?;
        number.checked_mul(unit).filter(|size| *size > 0).map(Self).ok_or_else(|| "out of range".to_owned())
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            size if size % (1 << 20) == 0 => write!(f, "{}MiB", size >> 20),
            size if size % (1 << 10) == 0 => write!(f, "{}KiB", size >> 10),
            size => write!(f, "{size}B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_one_of_postgres() {
        for (url, host) in [
            ("postgres://u:p@[::1]:5432/d", "::1"),
            ("postgresql://u@db.example:5433/d", "db.example"),
            ("postgres://u@127.0.0.1/d", "127.0.0.1"),
        ] {
            assert_eq!(read_url(url).expect("a URL").get_host(), host, "{url}");
        }
        for bad in ["mysql://u@h/d", "http://h/d", "u@h/d", "", "postgres:/h", "POSTGRES ://h"] {
            assert!(read_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_that_would_hurt_are_refused() {
        assert_eq!(takeover_after("15s"), Ok(Duration::from_secs(15)));
        assert!(["0s", "999ms", "25h", "soon", ""].into_iter().all(|text| takeover_after(text).is_err()));
        assert!(drain("0s").is_ok() && drain("1000years").is_err());
        assert!(gateway_timeout("800ms").is_ok() && gateway_timeout("0s").is_err());
        assert!(retention("30d").is_ok() && retention("1s").is_err() && retention("500000000000years").is_err());
    }

    #[test]
    fn limits_are_written_by_whom_they_limit() {
        let parse = |text: &str| text.parse::<RateLimits>();
        let rate = |text: &str| text.parse::<Rate>().ok();
        assert_eq!(parse(""), Ok(RateLimits::default()));
        assert_eq!(parse("key=100/s, customer=5/m"), Ok(RateLimits { key: rate("100/s"), customer: rate("5/m") }));
        for bad in ["key", "key=100", "ip=5/s", "key=1/s,key=2/s", "customer=0/s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_with_their_unit() {
        let parse = |text: &str| text.parse().ok();
        assert_eq!(parse("1MiB"), Some(ByteSize(1 << 20)));
        assert_eq!(parse("64 KiB"), Some(ByteSize(65_536)));
        assert_eq!(parse("512"), Some(ByteSize(512)));
        for bad in ["", "MiB", "1MB", "-1", "0", "99999999999GiB", "1.5MiB"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(ByteSize(1 << 20).to_string(), "1MiB");
    }
}
