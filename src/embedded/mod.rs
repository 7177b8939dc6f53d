//! Embedded Postgres: an installed server's binaries, run as a child of this process on its own data directory.
//!
//! For `demo`, `dev` and tests. It promises: data is kept between starts with fsync on; the server never outlives us,
//! even if we are killed (Linux); a data directory is used by one process at a time; after a kill at any moment it
//! starts again; if we are root, the server runs as `postgres` or `nobody`.
//!
//! The server listens on no network address, only on a Unix socket in a directory that other users can't enter (mode
//! 0700). So there is no password to guess or to leak in a process list and no port conflict, and `trust` relies on the
//! file system. If a caller sets `listen_addresses`, TCP connections need a scram password.
//!
//! Read next: `discover.rs` (which binaries), `cluster.rs` (the data directory), `launch.rs` (the process).

mod cluster;
mod discover;
mod error;
mod launch;
mod owner;
mod pidfile;
mod temporary;

use std::ffi::OsStr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

pub use discover::{OLDEST_SUPPORTED, Server, discover};
pub use error::Error;

use cluster::{Cluster, SUPERUSER, last_lines};
use launch::Process;

/// The database created in a new cluster, which [`Embedded::url`] names.
pub const DATABASE: &str = "backstitch";

/// The longest path of a directory whose socket still fits into the system's limit for addresses (108 bytes, 104 on
/// macOS).
const LONGEST_SOCKET_DIR: usize = 80;

/// Server settings, sized for a laptop or a small CI machine, and safe: acknowledged commits are on disk.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("listen_addresses", ""),
    ("port", "5432"),
    ("shared_buffers", "256MB"),
    ("max_connections", "200"),
    ("max_wal_size", "4GB"), // checkpoints by time, not by volume: fewer full-page images
    ("checkpoint_timeout", "15min"),
    ("jit", "off"), // our statements are short; compiling them costs more than it saves
    ("random_page_cost", "1.1"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("cluster_name", "backstitch"),
    ("logging_collector", "off"), // stderr goes to pg.log
];

/// Options for starting and stopping an embedded server.
#[derive(Debug, Clone)]
pub struct Options {
    settings: Vec<(String, String)>,
    start_within: Duration,
    stop_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { settings: Vec::new(), start_within: Duration::from_secs(60), stop_within: Duration::from_secs(15) }
    }
}

impl Options {
    /// Sets a server parameter (`postgres -c name=value`), overriding our default.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long the server may take until it accepts connections, recovery included. Default 60 s.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// How long a fast shutdown may take before an immediate one. Default 15 s.
    #[must_use]
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }
}

/// A running server. Dropping it stops the server, which blocks the thread for a moment: prefer [`Embedded::stop`].
#[derive(Debug)]
pub struct Embedded {
    cluster: Cluster,
    process: Option<Process>,
    options: Options,
    socket_dir: PathBuf,
    temporary: bool,
}

/// `DATABASE_URL`, if set and not empty. Callers may prefer it to an embedded server.
#[must_use]
pub fn url_from_environment() -> Option<String> {
    env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())
}

impl Embedded {
    /// Starts a server on `data_dir`, which is created if it doesn't exist, and waits until it accepts connections.
    ///
    /// # Errors
    /// No server is installed, the directory is in use, unusable or of another version, or the server doesn't come up.
    pub async fn start(data_dir: &Path) -> Result<Self, Error> {
        Self::start_with(data_dir, Options::default()).await
    }

    /// [`Embedded::start`] with other options.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub async fn start_with(data_dir: &Path, options: Options) -> Result<Self, Error> {
        Self::open(data_dir.to_owned(), options, false).await
    }

    /// Starts a server on a new directory that is removed when the server stops.
    /// (A later call removes what a killed process leaves behind.)
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub async fn temporary() -> Result<Self, Error> {
        Self::temporary_with(Options::default()).await
    }

    /// [`Embedded::temporary`] with other options.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub async fn temporary_with(options: Options) -> Result<Self, Error> {
        Self::open(temporary::create(&env::temp_dir())?, options, true).await
    }

    /// A URL for [`DATABASE`] that sqlx, psql and libpq understand. Valid until the server stops.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// The same for another database of this server.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        // The socket decides; host and port are given so that PGHOST and PGPORT in the environment are ignored.
        format!("postgres://{SUPERUSER}@localhost:5432/{database}?host={}", percent_encoded(&self.socket_dir))
    }

    /// The Unix socket it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(".s.PGSQL.5432")
    }

    /// The binaries it was started from.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.cluster.server
    }

    /// The postmaster's process id, for fault tests; `None` after it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().filter(|process| process.ended().is_none()).map(Process::id)
    }

    /// The server's log file.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.cluster.log_path()
    }

    /// Stops the server in order (fast shutdown, after a deadline an immediate one) and waits until it has ended.
    pub async fn stop(mut self) {
        // An error would mean that the runtime is shutting down, and then dropping `self` has stopped the server.
        let _ = tokio::task::spawn_blocking(move || self.shut_down()).await;
    }

    async fn open(dir: PathBuf, options: Options, temporary: bool) -> Result<Self, Error> {
        let opening = move || -> Result<Self, Error> {
            let cluster = Cluster::open(&dir, !temporary).inspect_err(|_| {
                if temporary {
                    let _ = fs::remove_dir_all(&dir);
                }
            })?;
            let socket_dir = socket_dir(&cluster)?;
            Ok(Self { cluster, process: None, options, socket_dir, temporary })
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let mut this =
            opened.map_err(|error| Error::io("prepare", Path::new("a cluster"))(io::Error::other(error)))??;
        let deadline = Instant::now() + this.options.start_within;
        loop {
            this.process = Some(this.launch()?);
            match this.wait_until_ready(deadline).await {
                // A postmaster was killed and one of its backends has not noticed yet; it will in a moment.
                Err(Error::StartFailed { tail, .. })
                    if tail.contains("shared memory block") && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                ready => break ready.map(|()| this),
            }
        }
    }

    fn launch(&self) -> Result<Process, Error> {
        let (data, log) = (&self.cluster.data, self.cluster.open_log()?);
        let copy = log.try_clone().map_err(Error::io("share", &self.cluster.log_path()))?;
        let mut command = self.cluster.command("postgres");
        command.arg("-D").arg(data).stdout(Stdio::from(log)).stderr(Stdio::from(copy));
        let quoted = self.socket_dir.to_string_lossy().replace('"', "\"\"");
        command.arg("-c").arg(format!("unix_socket_directories=\"{quoted}\""));
        command.arg("-c").arg(format!("wal_compression={}", self.wal_compression()));
        let overrides = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(overrides) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        Process::spawn(command).map_err(Error::io("run", &self.cluster.server.bin.join("postgres")))
    }

    /// lz4 if this server was built with it (15 and newer, in most packages), else Postgres' own method.
    fn wal_compression(&self) -> &'static str {
        let mut probe = self.cluster.command("postgres");
        probe.arg("-D").arg(&self.cluster.data).args(["-c", "wal_compression=lz4", "-C", "wal_compression"]);
        let accepted = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if accepted { "lz4" } else { "on" }
    }

    /// Ready means: it answered, and our database exists.
    async fn wait_until_ready(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let last = match self.make_database().await {
                Ok(()) => return Ok(()),
                Err(error) => error.to_string(),
            };
            let log = self.log_path();
            if let Some(status) = self.process.as_ref().and_then(Process::ended) {
                let tail = last_lines(&fs::read_to_string(&log).unwrap_or_default(), 12);
                return Err(Error::StartFailed { status: status.to_string(), log, tail });
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { within_s: self.options.start_within.as_secs(), last, log });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn make_database(&self) -> Result<(), sqlx::Error> {
        let options: PgConnectOptions = self.url_of("postgres").parse()?;
        let mut connection = options.disable_statement_logging().connect().await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query("CREATE DATABASE backstitch").execute(&mut connection).await?;
        }
        connection.close().await
    }

    fn shut_down(&mut self) {
        let Some(process) = self.process.take() else { return };
        process.stop(self.options.stop_within);
        if self.socket_dir != self.cluster.data {
            let _ = fs::remove_dir_all(&self.socket_dir);
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shut_down();
        if self.temporary {
            self.cluster.remove();
        }
    }
}

/// The cluster's directory (mode 0700) if its path is short enough for a socket's address, else a new private one.
fn socket_dir(cluster: &Cluster) -> Result<PathBuf, Error> {
    if cluster.data.as_os_str().len() <= LONGEST_SOCKET_DIR {
        return Ok(cluster.data.clone());
    }
    let usual = env::temp_dir();
    let base = if usual.as_os_str().len() < LONGEST_SOCKET_DIR - 40 { usual } else { PathBuf::from("/tmp") };
    let dir = base.join(format!("bst-{}", Uuid::new_v4().simple()));
    fs::DirBuilder::new().mode(0o700).create(&dir).map_err(Error::io("create", &dir))?;
    cluster.owner.give(&dir)?;
    cluster.owner.require_reach(&dir)?;
    Ok(dir)
}

/// A path as the value of a URL's query parameter.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in AsRef::<OsStr>::as_ref(path).as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
