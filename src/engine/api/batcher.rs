//! Requests that come while others are being written go together in the next write. Nobody waits for company: who comes when
//! nothing is being written goes at once.
//!
//! Those that go together wait for a lock only for a moment: somebody may hold it in a transaction that stays open. Then, and
//! where the database refuses what one of them says, each goes alone, and holds up nobody. One that is known to meet a lock may be
//! left out, and goes alone at once.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;
use tracing::Instrument;

use crate::engine::{error::Error, trouble::Trouble};

/// Writes at a time. With one, requests would stand still while the disk works; with many, they would go one by one.
const AT_A_TIME: usize = 2;
/// Requests in one write.
const TOGETHER: usize = 64;
/// How long others wait for one that goes alone, before they go on without it.
const ALONE_WITHIN: Duration = Duration::from_millis(100);
/// Those that go together are answered within this time, or nobody knows.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Writes that a [`Batcher`] gathers.
pub trait Batched: Clone + Send + Sync + 'static {
    /// What is asked for.
    type Request: Clone + Send + 'static;
    /// What came of it.
    type Answer: Send + 'static;

    /// Carries all out in one transaction, of [`Engine::begin_impatient`](crate::engine::Engine::begin_impatient), and answers each, in their order. `None`: nothing was
    /// done for it, and it is to go alone. For all of them, see [`Error::shared_by`].
    fn together(&self, requests: Vec<Self::Request>) -> impl Future<Output = Vec<Option<Self::Answer>>> + Send;

    /// Carries one out.
    fn alone(&self, request: Self::Request) -> impl Future<Output = Self::Answer> + Send;
}

/// A request and who waits for its answer.
struct Pending<Q, A> {
    request: Q,
    answer: oneshot::Sender<A>,
}

/// Gathers requests. Its writes are tasks of their own: one that waits for an answer may be dropped.
pub struct Batcher<Q, A>(Mutex<State<Q, A>>);

struct State<Q, A> {
    waiting: VecDeque<Pending<Q, A>>,
    writing: usize,
}

impl<Q, A> Default for Batcher<Q, A> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: VecDeque::new(), writing: 0 }))
    }
}

impl<Q, A> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").finish_non_exhaustive()
    }
}

/// A write that is under way, until it is dropped.
struct Writing<'a, Q, A> {
    of: &'a Batcher<Q, A>,
    ended: bool,
}

impl<Q, A> Drop for Writing<'_, Q, A> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // It panicked. Nobody else may be there to see to those that wait.
        let mut state = self.of.lock();
        state.writing = state.writing.saturating_sub(1);
        if state.writing == 0 {
            state.waiting.clear();
        }
    }
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// The answer to a request, which `work` carries out, with others. `None`: it was given up, and the request may have been
    /// carried out.
    pub async fn submit<W>(self: &Arc<Self>, work: &W, request: Q) -> Option<A>
    where
        W: Batched<Request = Q, Answer = A>,
    {
        let (answer, answered) = oneshot::channel();
        let begins = {
            let mut state = self.lock();
            state.waiting.push_back(Pending { request, answer });
            let begins = state.writing < AT_A_TIME;
            state.writing = state.writing.saturating_add(usize::from(begins));
            begins
        };
        if begins {
            let (this, work) = (self.clone(), work.clone());
            tokio::spawn(async move { this.write_all(&work).await }.in_current_span());
        }
        answered.await.ok()
    }

    /// Until nothing waits.
    async fn write_all<W: Batched<Request = Q, Answer = A>>(&self, work: &W) {
        let mut writing = Writing { of: self, ended: false };
        // Those that are about to come, come along.
        tokio::task::yield_now().await;
        while let Some(together) = self.next() {
            write(work, together).await;
        }
        writing.ended = true;
    }

    /// What is written next; none ends a write, under the lock that a request looks under whether it has to begin one.
    fn next(&self) -> Option<Vec<Pending<Q, A>>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.writing = state.writing.saturating_sub(1);
            return None;
        }
        let most = state.waiting.len().min(TOGETHER);
        Some(state.waiting.drain(..most).collect())
    }
}

impl<Q, A> Batcher<Q, A> {
    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write<W: Batched>(work: &W, mut together: Vec<Pending<W::Request, W::Answer>>) {
    if together.len() == 1
        && let Some(one) = together.pop()
    {
        drop(tokio::time::timeout(ALONE_WITHIN, write_alone(work, one)).await);
        return;
    }
    let requests = together.iter().map(|pending| pending.request.clone()).collect();
    // Out of time, nobody knows: those who wait find out by their channels.
    let answered = tokio::time::timeout(WRITTEN_WITHIN, work.together(requests)).await;
    for (pending, answer) in together.into_iter().zip(answered.unwrap_or_default()) {
        match answer {
            Some(answer) => drop(pending.answer.send(answer)),
            None => drop(write_alone(work, pending)),
        }
    }
}

/// In a task of its own, which goes on where nobody waits for it.
fn write_alone<W: Batched>(work: &W, pending: Pending<W::Request, W::Answer>) -> tokio::task::JoinHandle<()> {
    let work = work.clone();
    let write = async move { drop(pending.answer.send(work.alone(pending.request).await)) };
    tokio::spawn(write.in_current_span())
}

impl Error {
    /// What each of so many gets whose common write failed with this. `None`: it is about what one of them says, or about a lock
    /// that was waited for; alone, they may succeed.
    pub fn shared_by<T>(&self, count: usize) -> Vec<Option<Result<T, Self>>> {
        let may_succeed = matches!(self.trouble(), None | Some(Trouble::Row | Trouble::Statement));
        (0..count).map(|_| (!may_succeed).then(|| Err(self.again()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    /// Answers with the number and how many went together, after a while.
    #[derive(Clone)]
    struct Numbers;

    impl Batched for Numbers {
        type Request = usize;
        type Answer = (usize, usize);

        async fn together(&self, numbers: Vec<usize>) -> Vec<Option<(usize, usize)>> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(!numbers.contains(&13), "an unlucky number");
            let refused = numbers.contains(&666);
            let goes_alone = |number: &usize| refused || *number == 7;
            numbers.iter().map(|number| (!goes_alone(number)).then_some((*number, numbers.len()))).collect()
        }

        async fn alone(&self, number: usize) -> (usize, usize) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            (number, 1)
        }
    }

    type Batch = Arc<Batcher<usize, (usize, usize)>>;

    #[tokio::test(start_paused = true)]
    async fn requests_that_come_meanwhile_go_together() {
        let batch: Batch = Arc::default();
        let answers = join_all((100..200).map(|number| batch.submit(&Numbers, number))).await;
        let sizes: Vec<usize> = answers.iter().map(|answer| answer.expect("an answer").1).collect();
        assert_eq!(
            answers.iter().map(|answer| answer.expect("an answer").0).collect::<Vec<_>>(),
            (100..200).collect::<Vec<_>>()
        );
        assert!(sizes.contains(&64), "{sizes:?}");
        assert_eq!(batch.submit(&Numbers, 1).await, Some((1, 1)), "alone, it goes at once");
        assert_eq!(batch.lock().writing, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_gives_up_takes_nobody_along() {
        let batch: Batch = Arc::default();
        for number in 0..5 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), batch.submit(&Numbers, number));
            assert!(given_up.await.is_err());
        }
        assert_eq!(batch.submit(&Numbers, 7).await.map(|answer| answer.0), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn those_whose_write_is_refused_go_alone() {
        let batch: Batch = Arc::default();
        let answers = join_all([1, 2, 3, 666, 4].map(|number| batch.submit(&Numbers, number))).await;
        assert_eq!(answers, [1, 2, 3, 666, 4].map(|number| Some((number, 1))));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_left_out_goes_alone() {
        let batch: Batch = Arc::default();
        let answers = join_all([1, 2, 3, 7, 4].map(|number| batch.submit(&Numbers, number))).await;
        assert_eq!(answers, [(1, 5), (2, 5), (3, 5), (7, 1), (4, 5)].map(Some));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_panics_leaves_nobody_waiting() {
        let batch: Batch = Arc::default();
        let answers = join_all([1, 2, 13, 14].map(|number| batch.submit(&Numbers, number))).await;
        assert_eq!(answers[2], None);
        assert_eq!(batch.submit(&Numbers, 16).await.map(|answer| answer.0), Some(16));
        assert_eq!(batch.lock().writing, 0);
    }
}
