//! Runs a command with `DATABASE_URL` set to a Postgres server that lives as long as the command:
//! `with_postgres cargo nextest run`.
//!
//! `make test` uses it to give all test processes one server. If `DATABASE_URL` is set already, the command just runs.
//! The server has fsync off (see tests/support/settings.rs): it is for tests only.

use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use backstitch::embedded::{Embedded, url_from_environment};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

#[path = "../tests/support/settings.rs"]
mod settings;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).skip_while(|argument| argument == "--");
    let Some(program) = arguments.next() else {
        eprintln!("usage: with_postgres COMMAND [ARGUMENT]...");
        return Ok(ExitCode::from(2));
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    let server = match url_from_environment() {
        Some(_) => None,
        None => Some(Embedded::temporary_with(settings::fast_but_not_crash_safe()).await?),
    };
    if let Some(server) = &server {
        command.env("DATABASE_URL", server.url_of("postgres"));
    }
    let status = run(command).await.with_context(|| format!("running {}", program.display()));
    if let Some(server) = server {
        server.stop().await;
    }
    Ok(ExitCode::from(status?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Waits for the command. Ctrl-C reaches it by itself; a SIGTERM is passed on.
async fn run(mut command: Command) -> anyhow::Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(status?),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(pid) = child.id() {
                    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
                }
            }
        }
    }
}
