//! What runs look up between two decisions: the database's clock with the due times of their steps, and their inboxes. Whatever
//! comes while one look is on its way goes into the next one (`pump`): thousands of runs whose waits end in the same second
//! share few statements.

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::engine::{
    core::model::RunId,
    store::claim::{Dues, Inbox},
};

/// Runs in one look, at most.
const AT_ONCE: usize = 500;

/// The lookups that nobody has begun with.
pub(super) struct Lookups {
    sender: mpsc::Sender<Lookup>,
    receiver: Mutex<mpsc::Receiver<Lookup>>,
}

enum Lookup {
    Dues(RunId, oneshot::Sender<Dues>),
    Inbox(RunId, oneshot::Sender<Inbox>),
}

/// Runs, and where each waits for its answer. One that is left out hears that there is none.
pub(super) type Waiting<T> = Vec<(RunId, oneshot::Sender<T>)>;

/// Lookups that share a look.
#[derive(Default)]
pub(super) struct Look {
    pub(super) dues: Waiting<Dues>,
    pub(super) inboxes: Waiting<Inbox>,
}

impl Default for Lookups {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(AT_ONCE);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Lookups {
    /// The database's time, and the due times of the run's open steps as their rows have them. None: they can't be read just now.
    pub(super) async fn dues(&self, run: RunId) -> Option<Dues> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Lookup::Dues(run, answer)).await.ok()?;
        answered.await.ok()
    }

    /// The run's inbox. None: it can't be read just now.
    pub(super) async fn inbox(&self, run: RunId) -> Option<Inbox> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Lookup::Inbox(run, answer)).await.ok()?;
        answered.await.ok()
    }

    /// All that have come meanwhile; waits for the first.
    pub(super) async fn next(&self) -> Look {
        let (mut lookups, mut look) = (Vec::new(), Look::default());
        self.receiver.lock().await.recv_many(&mut lookups, AT_ONCE).await;
        for lookup in lookups {
            match lookup {
                Lookup::Dues(run, answer) => look.dues.push((run, answer)),
                Lookup::Inbox(run, answer) => look.inboxes.push((run, answer)),
            }
        }
        look
    }
}
