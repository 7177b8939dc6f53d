//! `postmaster.pid`: does the server that it names really run?
//!
//! After a kill the file stays, and its pid may by now belong to another process, or to a zombie. Postgres itself only
//! checks whether the pid exists, and then refuses to start. We check whether that process has the cluster as its
//! working directory, as each Postgres process does.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Error;

/// A pid that no process can have (Linux stops at 2^22, others earlier).
const NO_PROCESS: &str = "2147483646";

/// The pid in `postmaster.pid` if that process is alive and serves this cluster (`data` must be canonical).
pub(super) fn living_server(data: &Path) -> Option<i32> {
    let pid = named_pid(data)?;
    serves(pid, data).then_some(pid)
}

/// Makes a stale file harmless: without a live server, its pid is replaced by an impossible one.
///
/// The file isn't removed, because its other lines name the shared memory segment by which Postgres notices backends
/// that outlive a killed postmaster: that check must stay.
pub(super) fn disarm(data: &Path) -> Result<(), Error> {
    let path = data.join("postmaster.pid");
    if living_server(data).is_some() || named_pid(data).is_none() {
        return Ok(());
    }
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    tracing::info!("a server was killed on {}: it recovers now", data.display());
    // In the same file, so that it keeps its owner. Not through a link: we may be root, and the directory is not
    // root's.
    let no_links = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    let opened = OpenOptions::new().write(true).truncate(true).custom_flags(no_links).open(&path);
    let written = opened.and_then(|mut file| write!(file, "{NO_PROCESS}\n{rest}"));
    written.map_err(Error::io("write", &path))?;
    let socket_lock = data.join(".s.PGSQL.5432.lock");
    match fs::remove_file(&socket_lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &socket_lock)(error)),
        _ => Ok(()),
    }
}

/// The pid on the first line; a stand-alone backend writes it negative.
fn named_pid(data: &Path) -> Option<i32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    Some(pid.saturating_abs())
}

/// A zombie has no working directory, so it counts as gone, as it should.
#[cfg(target_os = "linux")]
fn serves(pid: i32, data: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
}

/// Without /proc: whether the process exists.
#[cfg(not(target_os = "linux"))]
fn serves(pid: i32, _data: &Path) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}
