//! Requests that come while others are being written go together in the next write. Nobody waits for company: who comes when
//! nothing is being written goes at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tracing::Instrument;

/// Writes at a time. With one, requests would stand still while the disk works; with many, they would go one by one.
const AT_A_TIME: usize = 2;
/// Requests in one write.
const TOGETHER: usize = 64;

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) struct Pending<Q, A> {
    pub(super) request: Q,
    pub(super) answer: oneshot::Sender<A>,
}

/// Gathers requests. Its writes are tasks of their own: one that waits for an answer may be dropped.
#[derive(Debug)]
pub(crate) struct Batcher<Q, A>(Mutex<State<Q, A>>);

#[derive(Debug)]
struct State<Q, A> {
    waiting: VecDeque<Pending<Q, A>>,
    writing: usize,
}

impl<Q, A> Default for Batcher<Q, A> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: VecDeque::new(), writing: 0 }))
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

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// The answer to a request. `write` sees to some requests and their answers; it is called for this one, and others.
    /// None: it was given up, and the request may have been carried out.
    pub(super) async fn submit<F, W>(self: &Arc<Self>, request: Q, write: W) -> Option<A>
    where
        F: Future<Output = ()> + Send,
        W: Fn(Vec<Pending<Q, A>>) -> F + Send + 'static,
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
            let this = self.clone();
            tokio::spawn(async move { this.write_all(write).await }.in_current_span());
        }
        answered.await.ok()
    }

    /// Until nothing waits.
    async fn write_all<F, W>(&self, write: W)
    where
        F: Future<Output = ()> + Send,
        W: Fn(Vec<Pending<Q, A>>) -> F + Send,
    {
        let mut writing = Writing { of: self, ended: false };
        while let Some(together) = self.next() {
            write(together).await;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    type Numbers = Arc<Batcher<usize, (usize, usize)>>;

    /// Answers with the number and how many went together, after a while.
    async fn write(together: Vec<Pending<usize, (usize, usize)>>) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let size = together.len();
        for Pending { request, answer } in together {
            assert_ne!(request, 13, "an unlucky number");
            let _ = answer.send((request, size));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_come_meanwhile_go_together() {
        let batcher: Numbers = Arc::default();
        let answers = join_all((100..200).map(|number| batcher.submit(number, write))).await;
        let sizes: Vec<usize> = answers.iter().map(|answer| answer.expect("an answer").1).collect();
        assert_eq!(
            answers.iter().map(|answer| answer.expect("an answer").0).collect::<Vec<_>>(),
            (100..200).collect::<Vec<_>>()
        );
        assert!(sizes.contains(&64), "{sizes:?}");
        assert_eq!(batcher.submit(1, write).await, Some((1, 1)), "alone, it goes at once");
        assert_eq!(batcher.lock().writing, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_gives_up_takes_nobody_along() {
        let batcher: Numbers = Arc::default();
        for number in 0..5 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), batcher.submit(number, write));
            assert!(given_up.await.is_err());
        }
        assert_eq!(batcher.submit(7, write).await.map(|answer| answer.0), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_panics_leaves_nobody_waiting() {
        let batcher: Numbers = Arc::default();
        let answers = join_all([13, 14, 15].map(|number| batcher.submit(number, write))).await;
        assert_eq!(answers[0], None);
        assert_eq!(batcher.submit(16, write).await.map(|answer| answer.0), Some(16));
        assert_eq!(batcher.lock().writing, 0);
    }
}
