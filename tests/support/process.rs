//! The `backstitch` binary as processes of their own, which a test can stop, let go on and kill.
//!
//! `BACKSTITCH_BIN` names another binary than the one just built: so a test is shown to fail on an older release.

use std::process::Stdio;

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::shop::{GATEWAY_TIMEOUT, WEBHOOK_SECRET};

/// A command over a database; it is killed when it is dropped.
pub fn backstitch(database: &str) -> Command {
    let built = option_env!("CARGO_BIN_EXE_backstitch").unwrap_or("backstitch");
    let binary = std::env::var("BACKSTITCH_BIN").unwrap_or_else(|_| built.to_owned());
    let mut command = Command::new(binary);
    command.env("DATABASE_URL", database).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end, which has to be a good one, and gives what it printed.
pub async fn run(database: &str, args: &[&str]) -> String {
    let output = backstitch(database).args(args).output().await.expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A part of the shop, `serve` or `worker`, that pays at this gateway.
pub fn shop(database: &str, gateway: &str, args: &[&str]) -> Command {
    let mut command = backstitch(database);
    command
        .args(args)
        .env("BACKSTITCH_GATEWAY_URL", gateway)
        .env("BACKSTITCH_GATEWAY_TIMEOUT", format!("{}ms", GATEWAY_TIMEOUT.as_millis()))
        .env("BACKSTITCH_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .stdout(Stdio::null());
    command
}

/// Where a process serves, once it says so; its output has to be piped.
pub async fn ready(server: &mut Child) -> String {
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let line = lines.next_line().await.expect("it can be read").expect("it says where it serves");
    line.strip_prefix("ready: ").expect("`ready: URL`").to_owned()
}

/// An address that nobody listens on at this moment.
pub fn free_address() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it is bound")
}

/// Stops a process where it is (SIGSTOP), as a swapped-out or paused machine does.
pub fn stop(process: u32) {
    send(process, Signal::SIGSTOP);
}

/// Lets it go on (SIGCONT).
pub fn go_on(process: u32) {
    send(process, Signal::SIGCONT);
}

/// Kills it (SIGKILL).
pub fn kill(process: u32) {
    send(process, Signal::SIGKILL);
}

/// Asks it to end (SIGTERM).
pub fn terminate(process: u32) {
    send(process, Signal::SIGTERM);
}

/// Tells it that its terminal is gone (SIGHUP).
pub fn hang_up(process: u32) {
    send(process, Signal::SIGHUP);
}

fn send(process: u32, what: Signal) {
    let pid = Pid::from_raw(i32::try_from(process).expect("a process id"));
    signal::kill(pid, what).expect("the process is there");
}
