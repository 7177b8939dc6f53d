//! The embedded Postgres launcher, against real servers: what it keeps, what it refuses, and what a kill leaves behind.
//!
//! Some tests run this binary again as another process: one that is killed, or one of another user. The functions that
//! run there are marked `#[ignore]`, and do nothing unless the environment names a directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backstitch::embedded::{Embedded, Error, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::{Connection, PgConnection};

const DIR_VARIABLE: &str = "BACKSTITCH_TEST_DATA_DIR";

/// A directory that is removed after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("backstitch-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&dir).expect("the temporary directory is writable");
        Self(dir)
    }

    /// The directory of Postgres' own files.
    fn cluster(&self) -> PathBuf {
        self.0.join("pg")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(elsewhere) = fs::canonicalize(self.cluster()) {
            let _ = fs::remove_dir_all(elsewhere);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Smaller than usual, as several of these run at once.
fn small() -> Options {
    Options::default().set("shared_buffers", "16MB").set("max_connections", "10")
}

async fn start(dir: &Path) -> Embedded {
    Embedded::start_with(dir, small()).await.expect("the server starts")
}

async fn text(url: &str, query: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("the server takes connections");
    sqlx::query_scalar(query).fetch_one(&mut connection).await.expect("the query works")
}

async fn run(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.expect("the server takes connections");
    sqlx::query(statement).execute(&mut connection).await.expect("the statement works");
}

fn is_alive(pid: u32) -> bool {
    // A zombie counts as gone.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("the process is there and ours");
}

fn wait_until(what: &str, mut fact: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fact() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn commits_survive_a_restart() {
    let scratch = Scratch::new();
    let server = start(&scratch.0).await;
    let first_pid = server.pid().expect("it runs");
    run(&server.url(), "CREATE TABLE kept AS SELECT 'yes' AS value").await;
    server.stop().await;
    assert!(!is_alive(first_pid), "stop waits until the server has ended");

    let server = start(&scratch.0).await;
    assert_eq!(text(&server.url(), "SELECT value FROM kept").await, "yes");
}

#[tokio::test]
async fn durability_settings_are_on() {
    let server = Embedded::temporary().await.expect("the server starts");
    for (query, expected) in [
        ("SELECT current_setting('fsync')", "on"),
        ("SELECT current_setting('full_page_writes')", "on"),
        ("SELECT current_setting('synchronous_commit')", "on"),
        ("SELECT current_setting('server_encoding')", "UTF8"),
        ("SELECT current_setting('listen_addresses')", ""),
        ("SELECT current_database()::text", "backstitch"),
    ] {
        assert_eq!(text(&server.url(), query).await, expected, "{query}");
    }
    server.stop().await;
}

#[tokio::test]
async fn other_users_cannot_reach_the_socket() {
    let scratch = Scratch::new();
    let server = start(&scratch.0).await;
    let directory = server.socket().parent().map(Path::to_owned).expect("a socket lies in a directory");
    let mode = fs::metadata(directory).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "others can get at a socket that trusts everybody: mode {mode:o}");
}

#[tokio::test]
async fn paths_too_long_for_a_socket_work() {
    let scratch = Scratch::new();
    let server = start(&scratch.0.join("a directory, with a comma and 'quotes'").join("d".repeat(120))).await;
    assert_eq!(text(&server.url(), "SELECT 'here'").await, "here");
    let sockets = server.socket().parent().map(Path::to_owned).expect("a socket lies in a directory");
    server.stop().await;
    assert!(!sockets.exists(), "the directory of the socket is left behind");
}

#[tokio::test]
async fn a_temporary_server_leaves_nothing_behind() {
    let server = Embedded::temporary_with(small()).await.expect("the server starts");
    let (pid, home) = (server.pid().expect("it runs"), server.log_path());
    assert!(home.exists());
    drop(server);
    assert!(!is_alive(pid));
    assert!(!home.parent().expect("a file has a directory").exists());
}

#[tokio::test]
async fn a_second_start_names_the_directorys_user() {
    let scratch = Scratch::new();
    let first = start(&scratch.0).await;
    let error = Embedded::start(&scratch.0).await.expect_err("the directory is taken");
    assert!(matches!(error, Error::InUse { holder, .. } if holder == Some(std::process::id())), "{error}");
    assert_eq!(text(&first.url(), "SELECT 'unharmed'").await, "unharmed");
    first.stop().await;
    start(&scratch.0).await.stop().await;
}

#[tokio::test]
async fn one_of_two_concurrent_starts_wins() {
    let scratch = Scratch::new();
    let (left, right) =
        tokio::join!(Embedded::start_with(&scratch.0, small()), Embedded::start_with(&scratch.0, small()));
    let (winner, loser) = match (left, right) {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        both => panic!("one of two must win: {both:?}"),
    };
    assert_eq!(loser.code(), "data_dir_in_use");
    assert_eq!(text(&winner.url(), "SELECT 'winner'").await, "winner");
}

#[tokio::test]
async fn data_of_another_version_is_refused_untouched() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.cluster()).expect("the directory is ours");
    fs::write(scratch.cluster().join("PG_VERSION"), "9\n").expect("the directory is ours");
    let error = Embedded::start(&scratch.0).await.expect_err("nobody has Postgres 9");
    assert!(matches!(&error, Error::OtherVersion { found, .. } if found == "9"), "{error}");
    assert!(error.to_string().contains("pg_upgrade"), "the message says what to do: {error}");
    assert_eq!(fs::read_dir(scratch.cluster()).expect("still there").count(), 1);
}

#[tokio::test]
async fn foreign_directories_are_refused_untouched() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.cluster()).expect("the directory is ours");
    fs::write(scratch.cluster().join("thesis.txt"), "the only copy").expect("the directory is ours");
    let error = Embedded::start(&scratch.0).await.expect_err("this is no cluster");
    assert_eq!(error.code(), "data_dir_not_a_cluster");
    assert!(scratch.cluster().join("thesis.txt").exists());
}

#[tokio::test]
async fn a_killed_server_recovers_at_the_next_start() {
    let scratch = Scratch::new();
    let server = start(&scratch.0).await;
    run(&server.url(), "CREATE TABLE kept AS SELECT 'yes' AS value").await;
    let pid = server.pid().expect("it runs");
    signal(pid, Signal::SIGKILL);
    wait_until("the killed server is noticed", || server.pid().is_none());
    drop(server);

    assert!(scratch.cluster().join("postmaster.pid").exists(), "a killed server leaves its pid file");
    let server = start(&scratch.0).await;
    assert_eq!(text(&server.url(), "SELECT value FROM kept").await, "yes");
}

#[tokio::test]
async fn a_start_ignores_a_stale_reused_pid() {
    let scratch = Scratch::new();
    start(&scratch.0).await.stop().await;
    // A process of the server's own user: the one case in which Postgres alone would refuse to start.
    let mut other = Command::new("sleep");
    other.arg("60").stdin(Stdio::null());
    let owner = fs::metadata(scratch.cluster()).expect("the cluster is there");
    if geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        other.gid(owner.gid()).uid(owner.uid());
    }
    let mut other = other.spawn().expect("`sleep` is everywhere");
    let pid_file = scratch.cluster().join("postmaster.pid");
    fs::write(&pid_file, format!("{}\n{}\n1700000000\n5432\n", other.id(), scratch.cluster().display()))
        .expect("we may write it");
    if geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::chown(&pid_file, Some(owner.uid()), Some(owner.gid())).expect("root may");
    }

    let started = Embedded::start_with(&scratch.0, small()).await;
    let _ = other.kill().and_then(|()| other.wait());
    let server = started.expect("a number that belongs to somebody else is no server");
    assert_eq!(text(&server.url(), "SELECT 'up'").await, "up");
}

/// Not a test: keeps a server running until killed, for the tests below.
#[tokio::test]
#[ignore = "run by other tests as a process of its own"]
async fn hold_a_server() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    let server = start(Path::new(&dir)).await;
    println!("\nholding {} {}", server.pid().expect("it runs"), server.url());
    std::future::pending::<()>().await;
}

/// Starts `hold_a_server` as a process; returns it, its server's pid and its URL.
fn holder(dir: &Path) -> (Child, u32, String) {
    let mut command = Command::new(std::env::current_exe().expect("we are a program"));
    command.args(["--exact", "hold_a_server", "--ignored", "--nocapture"]).env(DIR_VARIABLE, dir);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("we can run ourselves");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for line in lines.map_while(Result::ok) {
        if let Some((pid, url)) = line.strip_prefix("holding ").and_then(|rest| rest.split_once(' ')) {
            return (child, pid.parse().expect("a pid is a number"), url.to_owned());
        }
    }
    panic!("the child process ended without a server: {:?}", child.wait());
}

#[tokio::test]
async fn a_killed_parent_leaves_no_server_and_no_lock() {
    let scratch = Scratch::new();
    let (mut parent, server_pid, url) = holder(&scratch.0);
    run(&url, "CREATE TABLE kept AS SELECT 'yes' AS value").await;
    parent.kill().expect("it is our child");
    // The lock goes with the parent. The orphan may still be stopping: the next start has to cope with that.
    parent.wait().expect("it is our child");
    let next = start(&scratch.0).await;
    assert!(!is_alive(server_pid), "the first server outlived its parent");
    assert_eq!(text(&next.url(), "SELECT value FROM kept").await, "yes");
}

#[tokio::test]
async fn a_refusal_names_the_other_process() {
    let scratch = Scratch::new();
    let (mut parent, ..) = holder(&scratch.0);
    let error = Embedded::start(&scratch.0).await.expect_err("the directory is taken");
    assert!(matches!(error, Error::InUse { holder, .. } if holder == Some(parent.id())), "{error}");
    let _ = parent.kill().and_then(|()| parent.wait());
}

#[tokio::test]
async fn a_terminal_interrupt_does_not_reach_postgres() {
    let scratch = Scratch::new();
    let server = start(&scratch.0).await;
    let pid = Pid::from_raw(server.pid().expect("it runs").cast_signed());
    let group = nix::unistd::getpgid(Some(pid)).expect("it runs");
    assert_eq!(group, pid, "a Ctrl-C reaches the terminal's whole group: the server must not be in it");
    assert_ne!(group, nix::unistd::getpgrp());
}

/// Run by the next test as another user.
#[tokio::test]
#[ignore = "run by another test as another user"]
async fn start_as_this_user() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE) else { return };
    assert!(!geteuid().is_root(), "this was to run as an ordinary user");
    let server = start(Path::new(&dir)).await;
    assert_eq!(text(&server.url(), "SELECT 'up'").await, "up");
    server.stop().await;
    println!("\nstarted as an ordinary user");
}

#[tokio::test]
async fn ordinary_users_can_start_it() {
    if !geteuid().is_root() {
        return; // then every other test here is this test
    }
    let scratch = Scratch::new();
    let program = scratch.0.join("embedded-tests");
    fs::copy(std::env::current_exe().expect("we are a program"), &program).expect("there is room for a copy");
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("every system has nobody");
    std::os::unix::fs::chown(&scratch.0, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).expect("root may");
    let mut command = Command::new(&program);
    command.args(["--exact", "start_as_this_user", "--ignored", "--nocapture"]);
    command.env(DIR_VARIABLE, scratch.0.join("data")).current_dir("/").stdin(Stdio::null());
    let output = command.gid(nobody.gid.as_raw()).uid(nobody.uid.as_raw()).output().expect("we can run ourselves");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("started as an ordinary user"), "{printed}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn roots_private_directory_becomes_a_link() {
    if !geteuid().is_root() {
        return; // only root runs the server as another user
    }
    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let dir = scratch.0.join("data");
    let server = start(&dir).await;
    run(&server.url(), "CREATE TABLE kept AS SELECT 'yes' AS value").await;
    server.stop().await;
    assert!(dir.join("pg").is_symlink());
    let server = start(&dir).await;
    assert_eq!(text(&server.url(), "SELECT value FROM kept").await, "yes");
    server.stop().await;
    let elsewhere = fs::canonicalize(dir.join("pg")).expect("the link leads somewhere");
    fs::remove_dir_all(elsewhere.parent().expect("it has a home of its own")).expect("it is ours");
}

#[tokio::test]
async fn links_that_somebody_put_there_are_not_followed() {
    for name in ["pg.lock", "pg.log"] {
        let scratch = Scratch::new();
        let victim = scratch.0.join("letter.txt");
        fs::write(&victim, "dear reader").expect("it is ours");
        fs::create_dir(scratch.0.join("data")).expect("it is ours");
        std::os::unix::fs::symlink(&victim, scratch.0.join("data").join(name)).expect("it is ours");
        let error = Embedded::start_with(&scratch.0.join("data"), small()).await.expect_err("it leads elsewhere");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "dear reader");
    }
}

#[tokio::test]
async fn root_starts_nothing_behind_anothers_link() {
    if !geteuid().is_root() {
        return; // then the other user's link is no danger to others
    }
    let scratch = Scratch::new();
    let (theirs, dir) = (scratch.0.join("theirs"), scratch.0.join("data"));
    start(&theirs).await.stop().await;
    fs::create_dir(&dir).expect("it is ours");
    std::os::unix::fs::symlink(theirs.join("pg"), dir.join("pg")).expect("it is ours");
    std::os::unix::fs::lchown(dir.join("pg"), Some(65_534), None).expect("root may");
    let error = Embedded::start_with(&dir, small()).await.expect_err("another user made the link");
    assert!(error.to_string().contains("another user made this link"), "{error}");
}
