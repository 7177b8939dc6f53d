//! The thread on which messages are handed over. Its priority is lower than that of the service's others: where processors are busy,
//! orders go first.

use std::{io, thread};

use tokio::{runtime, sync::oneshot, task::JoinError};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// Added to its nice value. Where others want all of a processor, a tenth of it stays for messages (sched(7): 110 parts to 1,024).
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// The thread. Dropped, it ends with all that runs on it.
#[derive(Debug)]
pub(super) struct Background {
    runtime: runtime::Handle,
    /// Who waits for this ends when it is dropped.
    _end: oneshot::Sender<()>,
}

impl Background {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let wait = move || {
            give_way();
            drop(runtime.block_on(ended));
        };
        thread::Builder::new().name("notices".to_owned()).spawn(wait)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Runs something on it, for as long as the caller waits for that.
    ///
    /// # Errors
    /// It panicked, or the thread has ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        AbortOnDropHandle::new(self.runtime.spawn(work.in_current_span())).await
    }
}

/// On Linux a nice value is a thread's own; elsewhere it is the whole process's, and stays as it is.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "messages are handed over with the priority of everything else");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// The nice value of the calling thread: proc_pid_stat(5), field 19.
    fn nice() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux has it");
        let behind_name = stat.rsplit(')').next().expect("a name");
        behind_name.split_whitespace().nth(16).expect("field 19").parse().expect("a number")
    }

    #[tokio::test]
    async fn what_it_runs_gives_way_to_the_service() {
        let there = Background::start().expect("a thread").run(async { nice() }).await.expect("no panic");
        assert_eq!(there, nice().saturating_add(10).min(19));
    }
}
