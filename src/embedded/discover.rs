//! Finding an installed Postgres server's binaries.
//!
//! `BACKSTITCH_PG_BIN` comes first: if it is set but unusable, that is an error. Otherwise it is the highest version,
//! 13 or newer, in the usual places of packages; an existing data directory prefers its own major version. Nothing is
//! downloaded.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// The oldest major version that the schema and the launcher work with.
pub const OLDEST_SUPPORTED: u32 = 13;

/// Directories of binaries; a `*` matches any name.
const USUAL_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// An installed Postgres server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The directory that holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// Its major version, 13 or more.
    pub major: u32,
}

impl Server {
    /// Checks one directory of binaries; the error says why it is unusable.
    fn probe(bin: &Path) -> Result<Self, String> {
        let postgres = bin.join("postgres");
        if !bin.join("initdb").exists() {
            return Err("there is no `initdb` in it".into());
        }
        let output = Command::new(&postgres)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("`postgres --version` does not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let major = major_version(&text).ok_or_else(|| format!("`postgres --version` says {:?}", text.trim()))?;
        if major < OLDEST_SUPPORTED {
            return Err(format!("it is version {major}, and {OLDEST_SUPPORTED} is the oldest that works"));
        }
        // Debian and others put a symbolic link on the PATH: share files are found from the real place.
        let real = fs::canonicalize(&postgres).ok().and_then(|path| path.parent().map(Path::to_owned));
        Ok(Self { bin: real.unwrap_or_else(|| bin.to_owned()), major })
    }
}

/// Finds the server to run; `preferred` is the major version of data that exists already.
///
/// # Errors
/// [`Error::BadBinaries`] if `BACKSTITCH_PG_BIN` is set but unusable, [`Error::NotFound`] if nothing is installed.
pub fn discover(preferred: Option<u32>) -> Result<Server, Error> {
    if let Some(path) = env::var_os("BACKSTITCH_PG_BIN").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        return Server::probe(&path).map_err(|problem| Error::BadBinaries { path, problem });
    }
    choose(candidates(), preferred)
}

/// Picks the preferred version if it is installed, else the highest; of equals, the first.
fn choose(places: Vec<PathBuf>, preferred: Option<u32>) -> Result<Server, Error> {
    let mut best: Option<Server> = None;
    let mut seen = Vec::new();
    let rank = |server: &Server| (Some(server.major) == preferred, server.major);
    for place in places {
        match Server::probe(&place) {
            Ok(server) if best.as_ref().is_none_or(|known| rank(&server) > rank(known)) => best = Some(server),
            Ok(_) => {}
            Err(problem) => seen.push(format!("{}: {problem}", place.display())),
        }
    }
    best.ok_or(Error::NotFound { seen })
}

/// Every directory that has a `postgres` in it, in order of preference among equals.
fn candidates() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = pg_config_bindir().into_iter().collect();
    places.extend(USUAL_PLACES.iter().flat_map(|pattern| expand(pattern)));
    places.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let mut kept: Vec<PathBuf> = Vec::new();
    for place in places {
        if place.join("postgres").is_file() && !kept.contains(&place) {
            kept.push(place);
        }
    }
    kept
}

/// The output of `pg_config --bindir`, if there is a `pg_config`.
fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| PathBuf::from(text.trim()))
}

/// Resolves one `*` in one component of a path.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (dir, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = fs::read_dir(format!("{dir}/")).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(OsStr::new(after.trim_start_matches('/'))))
        .collect()
}

/// `postgres (PostgreSQL) 15.14 (Debian ..)` or `17beta1` to 15 or 17.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_packagers_print() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta2"), Some(19));
        assert_eq!(major_version("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_version("something else 15"), None);
    }

    #[test]
    fn finding_nothing_says_what_to_install() {
        let error = choose(Vec::new(), None).expect_err("there is nothing to choose from");
        assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
        assert!(error.to_string().contains("brew install"), "{error}");
    }

    #[test]
    fn a_directory_without_initdb_is_named_with_its_reason() {
        let error = choose(vec![PathBuf::from("/nowhere/bin")], None).expect_err("it does not exist");
        assert!(error.to_string().contains("/nowhere/bin: there is no `initdb` in it"), "{error}");
    }
}
