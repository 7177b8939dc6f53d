//! The data directory: used by one process at a time, created atomically, and never opened with the wrong version.
//!
//! In the caller's directory, `pg/` is the cluster, `pg.log` the server's log, and `pg.lock` is locked (flock) by the
//! process that runs the server, so that it is released however that process ends. If we are root and the server's user
//! can't enter the directory (a clone under /root, for example), the cluster is in /var/lib/backstitch and `pg` is a
//! symbolic link to it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::unistd::geteuid;
use uuid::Uuid;

use super::discover::{Server, discover};
use super::owner::Owner;
use super::{Error, pidfile};

/// Where root's clusters go if the server's user can't enter the given directory.
pub(super) const FALLBACK_HOME: &str = "/var/lib/backstitch";
/// The superuser of a new cluster, and its only user.
pub(super) const SUPERUSER: &str = "backstitch";
/// A server's log beyond this size is truncated.
const LOG_LIMIT_BYTES: u64 = 8 << 20;
/// How long we wait for a server that is stopping because its parent was killed.
const LEAVING_WITHIN: Duration = Duration::from_secs(10);

/// A data directory that is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The directory that the caller named, absolute.
    dir: PathBuf,
    /// The cluster itself, links resolved.
    pub(super) data: PathBuf,
    pub(super) server: Server,
    pub(super) owner: Owner,
    lock: File,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Explicitly, because a child forked at this moment holds the same lock until it execs.
        let _ = self.lock.unlock();
    }
}

impl Cluster {
    /// Locks the directory, creates the cluster if there is none, and makes sure that a server can start on it.
    /// Blocks, for seconds if a cluster has to be created. `sync`: whether a new cluster is flushed to disk.
    pub(super) fn open(dir: &Path, sync: bool) -> Result<Self, Error> {
        let owner = Owner::choose()?;
        create_dir(dir)?;
        let dir = fs::canonicalize(dir).map_err(Error::io("resolve", dir))?;
        let lock = lock(&dir)?;
        let link = dir.join("pg");
        require_own_link(&link)?;
        if link.is_symlink() && !link.exists() {
            fs::remove_file(&link).map_err(Error::io("remove the dangling link", &link))?;
        }
        let written_by = fs::read_to_string(link.join("PG_VERSION")).ok();
        let server = discover(written_by.and_then(|version| version.trim().parse().ok()))?;
        owner.require_reach(&server.bin)?;
        if !link.exists() {
            create(&dir, &server, &owner, sync)?;
        }
        let data = fs::canonicalize(&link).map_err(Error::io("resolve", &link))?;
        if data.to_str().is_none() {
            return Err(Error::PathEncoding(data));
        }
        let found = match fs::read_to_string(data.join("PG_VERSION")) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::io("read (another user made it?)", &data)(error));
            }
            Err(_) => return Err(Error::NotACluster { data }),
            Ok(text) => text.trim().to_owned(),
        };
        if found != server.major.to_string() {
            return Err(Error::OtherVersion { data, found, server: server.major });
        }
        owner.give_tree(&data)?;
        owner.require_reach(&data)?;
        let cluster = Self { dir, data, server, owner, lock };
        cluster.wait_until_free()?;
        Ok(cluster)
    }

    /// A command of this server's binaries, run as its user, without the PG* variables of our environment.
    pub(super) fn command(&self, program: &str) -> Command {
        command(&self.server, &self.owner, program)
    }

    /// The server's log file.
    pub(super) fn log_path(&self) -> PathBuf {
        self.dir.join("pg.log")
    }

    /// Opens the log for the server to append to, truncated if it is large.
    pub(super) fn open_log(&self) -> Result<File, Error> {
        let path = self.log_path();
        let full = fs::symlink_metadata(&path).is_ok_and(|meta| meta.len() > LOG_LIMIT_BYTES);
        if full {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        let opened = OpenOptions::new().create(true).append(true).private().open(&path);
        opened.map_err(Error::io("open", &path))
    }

    /// Removes everything, for temporary clusters after the server has ended.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.data);
        if let Some(home) = self.data.parent().filter(|home| *home != self.dir) {
            let _ = fs::remove_dir(home);
        }
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// We hold the lock, so a server that runs here has lost its parent and is stopping, or was started by other means.
    fn wait_until_free(&self) -> Result<(), Error> {
        let deadline = Instant::now() + LEAVING_WITHIN;
        while let Some(pid) = pidfile::living_server(&self.data) {
            if Instant::now() > deadline {
                return Err(Error::ServerRunning { pid, data: self.data.clone() });
            }
            thread::sleep(Duration::from_millis(20));
        }
        pidfile::disarm(&self.data)
    }
}

/// Creates the directory if it doesn't exist; other users may traverse it (the server's user has to), not list it.
fn create_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).create(dir).map_err(Error::io("create", dir))?;
    fs::set_permissions(dir, Permissions::from_mode(0o711)).map_err(Error::io("set the mode of", dir))
}

/// A link that another user made is not followed: root would start a server on whatever it leads to, and give it away.
fn require_own_link(link: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(link) {
        Ok(meta) if meta.is_symlink() && meta.uid() != geteuid().as_raw() => {
            Err(Error::io("follow (another user made this link)", link)(io::ErrorKind::PermissionDenied.into()))
        }
        _ => Ok(()),
    }
}

/// Takes the lock, or fails with the pid that holds it.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("pg.lock");
    let opened = OpenOptions::new().create(true).read(true).write(true).truncate(false).private().open(&path);
    let mut file = opened.map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // The pid is for another process's error message; the lock itself decides.
            let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            written.map_err(Error::io("write", &path))?;
            Ok(file)
        }
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            Err(Error::InUse { dir: dir.to_owned(), holder: text.trim().parse().ok() })
        }
        Err(fs::TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Runs initdb in a sibling directory and renames it, so that an interrupted initdb leaves no partial cluster.
fn create(dir: &Path, server: &Server, owner: &Owner, sync: bool) -> Result<(), Error> {
    let home = if owner.require_reach(dir).is_ok() { dir.to_owned() } else { fallback_home()? };
    owner.require_reach(&home)?;
    let fresh = home.join("pg.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(Error::io("remove the unfinished", &fresh))?;
    }
    DirBuilder::new().mode(0o700).create(&fresh).map_err(Error::io("create", &fresh))?;
    owner.give(&fresh)?;
    initdb(&fresh, server, owner, sync)?;
    let (data, link) = (home.join("pg"), dir.join("pg"));
    fs::rename(&fresh, &data).map_err(Error::io("rename", &fresh))?;
    if home != dir {
        tracing::warn!("the server's user can't enter {}: the data is in {}", dir.display(), data.display());
        symlink(&data, &link).map_err(Error::io("link", &link))?;
    }
    Ok(())
}

/// A new directory under /var/lib. Its name is random, so that deleting the directory that links to it starts afresh.
fn fallback_home() -> Result<PathBuf, Error> {
    let home = Path::new(FALLBACK_HOME).join(Uuid::now_v7().to_string());
    create_dir(Path::new(FALLBACK_HOME))?;
    create_dir(&home)?;
    Ok(home)
}

/// UTF-8, because JSON is; locale C, because it sorts strings alike on every system and after every library upgrade.
/// Local connections are trusted: the socket is in a private directory (see `mod.rs`).
fn initdb(data: &Path, server: &Server, owner: &Owner, sync: bool) -> Result<(), Error> {
    let mut command = command(server, owner, "initdb");
    command.arg("-D").arg(data).args(["-U", SUPERUSER, "--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
    if !sync {
        command.arg("--no-sync");
    }
    let output = command.output().map_err(Error::io("run", &server.bin.join("initdb")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let _ = fs::remove_dir_all(data);
    Err(Error::InitFailed { data: data.to_owned(), output: last_lines(&String::from_utf8_lossy(&text), 8) })
}

fn command(server: &Server, owner: &Owner, program: &str) -> Command {
    let mut command = Command::new(server.bin.join(program));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    // Our own working directory may be one that the server's user can't enter.
    command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C");
    owner.apply(&mut command);
    command
}

/// The end of a longer text.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Sets mode 0600, and follows no link: we may be root in somebody else's directory.
trait Private {
    fn private(&mut self) -> &mut Self;
}

impl Private for OpenOptions {
    fn private(&mut self) -> &mut Self {
        self.mode(0o600).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
    }
}
