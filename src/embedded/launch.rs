//! The `postgres` process: our own child, which never outlives us.
//!
//! Without `pg_ctl` in between we can wait for the process. It has its own process group, so a Ctrl-C in the terminal
//! reaches only us and we stop it in order. If we are killed, the kernel sends it SIGQUIT (Linux only): it ends at once
//! with all its backends, and recovers from its log at the next start.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long an immediate shutdown may take before the server is killed.
const IMMEDIATE_WITHIN: Duration = Duration::from_secs(6);

/// A running `postgres`, waited for by its own thread.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    ending: Arc<Ending>,
}

/// Set once by the keeper thread, when the process has ended.
#[derive(Debug, Default)]
struct Ending {
    status: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl Process {
    /// Starts the command, to end when we do.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0);
        die_with_parent(&mut command);
        let ending = Arc::new(Ending::default());
        let (sender, receiver) = sync_channel(1);
        let seen = Arc::clone(&ending);
        // The kernel's parent-death signal is tied to the *thread* that forks, not to the process: on a runtime's
        // worker or blocking thread, Postgres would be stopped when that thread ends. So the thread that forks also
        // waits.
        thread::Builder::new().name("postgres-keeper".into()).spawn(move || match command.spawn() {
            Ok(child) => {
                let _ = sender.send(Ok(child.id()));
                seen.watch(child);
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        })?;
        let id = receiver.recv().map_err(io::Error::other)??;
        Ok(Self { pid: Pid::from_raw(id.cast_signed()), ending })
    }

    /// The postmaster's process id.
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        *self.ending.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fast shutdown, then an immediate one, then SIGKILL. Blocks until the process has ended.
    pub(super) fn stop(&self, fast_within: Duration) {
        for (signal, within) in
            [(Signal::SIGINT, fast_within), (Signal::SIGQUIT, IMMEDIATE_WITHIN), (Signal::SIGKILL, Duration::MAX)]
        {
            if self.ended().is_some() {
                return;
            }
            if signal != Signal::SIGINT {
                tracing::warn!(pid = self.id(), %signal, "Postgres did not stop in time; sending a stronger signal");
            }
            // The number is still its own: only the keeper reaps it, and has not done so a moment ago.
            let _ = kill(self.pid, signal);
            self.ending.wait(within);
        }
    }
}

impl Ending {
    /// Waits for the child on the keeper thread.
    fn watch(&self, mut child: Child) {
        let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0));
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        self.changed.notify_all();
    }

    fn wait(&self, within: Duration) {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        // The keeper can't panic, so the lock is never poisoned.
        drop(self.changed.wait_timeout_while(status, within, |status| status.is_none()));
    }
}

/// Asks the kernel to send SIGQUIT when the thread that forks ends (our keeper, so: when we do).
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pre_exec is the only place where a child can ask for its parent-death signal")]
fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let ask = move || {
        // After uid and gid were changed, which is when `Command` runs this: changing them clears the request.
        nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT)?;
        // We may have died before the request was made; then the signal would never come.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe)) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed: `ask` makes two plain system calls,
    // and neither allocates nor takes a lock (an `io::Error` of a bare kind or errno is no allocation).
    unsafe {
        command.pre_exec(ask);
    }
}

/// Other systems have no parent-death signal: a killed parent leaves its server running, and the next start reports it.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}
