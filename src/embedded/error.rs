//! Errors while starting an embedded Postgres, and what to do about them.
//!
//! Every message names the path or process and ends with the next step, because its reader wanted to try
//! Backstitch and now has to fix a machine. Codes are stable; messages are not.

use std::io;
use std::path::{Path, PathBuf};

/// Why an embedded Postgres could not be found, prepared or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable server is installed.
    #[error(
        "no Postgres server (13 or newer) was found{}. Install one (Debian or Ubuntu: `apt-get install postgresql`; \
         macOS: `brew install postgresql@17`), or name its directory of binaries in BACKSTITCH_PG_BIN, or give a \
         running server in DATABASE_URL",
        if .seen.is_empty() { String::new() } else { format!(" (seen, but too old or unusable: {})", .seen.join(", ")) }
    )]
    NotFound {
        /// Places that hold a `postgres` that can't be used, each with its reason.
        seen: Vec<String>,
    },

    /// `BACKSTITCH_PG_BIN` names an unusable directory.
    #[error(
        "BACKSTITCH_PG_BIN={}: {problem}. It must be the directory that holds `postgres` and `initdb` of version 13 or newer, \
         for example /usr/lib/postgresql/15/bin", .path.display()
    )]
    BadBinaries {
        /// The directory as given.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },

    /// Another Backstitch process uses this data directory.
    #[error(
        "{} is in use by another Backstitch process{}: stop that one, or choose another data directory", .dir.display(),
        .holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory as given.
        dir: PathBuf,
        /// The process that uses it, if its pid is known.
        holder: Option<u32>,
    },

    /// A Postgres that this process did not start keeps running on this data directory.
    #[error("a Postgres server (pid {pid}) that this process did not start runs on {}: stop it with `kill -INT {pid}`", .data.display())]
    ServerRunning {
        /// Its process id.
        pid: i32,
        /// The cluster's directory.
        data: PathBuf,
    },

    /// The data directory was written by another major version.
    #[error(
        "{} holds data of Postgres {found}, but the server at hand is {server}: install Postgres {found} (or name it in \
         BACKSTITCH_PG_BIN), move the data with pg_upgrade or pg_dump, or remove the directory if the data may go", .data.display()
    )]
    OtherVersion {
        /// The cluster's directory.
        data: PathBuf,
        /// The version in its PG_VERSION file.
        found: String,
        /// The major version of the server we would start.
        server: u32,
    },

    /// The directory is not empty and is not a cluster.
    #[error("{} is not empty and is no Postgres data directory: remove it, or choose another data directory", .data.display())]
    NotACluster {
        /// The directory in question.
        data: PathBuf,
    },

    /// Postgres refuses to run as root, and the user it would run as can't enter a directory.
    #[error(
        "Postgres doesn't run as root, so it would run as user `{user}`, who can't enter {}: allow it \
         (`chmod o+x {}`), or use a path outside of it", .blocker.display(), .blocker.display()
    )]
    Unreachable {
        /// The user that the server would run as.
        user: String,
        /// The directory that it can't enter.
        blocker: PathBuf,
    },

    /// We are root and there is no other user to run as.
    #[error(
        "Postgres doesn't run as root, and this machine has neither a user `postgres` nor `nobody`: start as an ordinary user"
    )]
    NoServerUser,

    /// The path can't be written into a connection URL.
    #[error("{} is not valid UTF-8, which connection URLs need: choose another data directory", .0.display())]
    PathEncoding(PathBuf),

    /// `initdb` failed.
    #[error("could not create a Postgres cluster in {}: initdb said: {output}", .data.display())]
    InitFailed {
        /// Where to create it.
        data: PathBuf,
        /// The end of what initdb printed.
        output: String,
    },

    /// The server ended before it could be used.
    #[error("Postgres ended while it started ({status}); the end of {} says:\n{tail}", .log.display())]
    StartFailed {
        /// How the process ended.
        status: String,
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server runs but doesn't accept connections in time.
    #[error("Postgres accepted no connection within {within_s} s ({last}); see {}", .log.display())]
    NotReady {
        /// How long we waited, in seconds.
        within_s: u64,
        /// Error of the last attempt to connect.
        last: String,
        /// The server's log.
        log: PathBuf,
    },

    /// The operating system refused something.
    #[error("{doing} {}: {source}", .path.display())]
    Io {
        /// What was being done, as a verb: "create", "lock".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// The stable code, listed in docs/errors.md.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "postgres_not_found",
            Self::BadBinaries { .. } => "postgres_bad_binaries",
            Self::InUse { .. } => "data_dir_in_use",
            Self::ServerRunning { .. } => "data_dir_server_running",
            Self::OtherVersion { .. } => "data_dir_other_version",
            Self::NotACluster { .. } => "data_dir_not_a_cluster",
            Self::Unreachable { .. } => "data_dir_unreachable",
            Self::NoServerUser => "no_server_user",
            Self::PathEncoding(_) => "data_dir_encoding",
            Self::InitFailed { .. } => "postgres_init_failed",
            Self::StartFailed { .. } => "postgres_start_failed",
            Self::NotReady { .. } => "postgres_not_ready",
            Self::Io { .. } => "embedded_io",
        }
    }

    /// For `map_err`: an I/O error with the action and the file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
