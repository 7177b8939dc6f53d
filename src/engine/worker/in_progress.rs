//! A run's attempts under way. The run's own task polls them: what it waits for without them must not wait for them.

use std::future::{Future, ready};

use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{FuturesUnordered, Next},
};

/// Attempts under way, of which each comes to a `T`.
pub(super) struct InProgress<T>(FuturesUnordered<BoxFuture<'static, T>>);

impl<T> Default for InProgress<T> {
    fn default() -> Self {
        Self(FuturesUnordered::new())
    }
}

impl<T: Send + 'static> InProgress<T> {
    pub(super) fn push(&mut self, attempt: impl Future<Output = T> + Send + 'static) {
        self.0.push(attempt.boxed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the next one to end comes to; none where there is none.
    pub(super) fn next(&mut self) -> Next<'_, FuturesUnordered<BoxFuture<'static, T>>> {
        self.0.next()
    }

    /// Waits for something else while these go on; what they come to is kept. One of them may have been given the connection
    /// that the other waits for: if nobody polled it, it would neither use it nor give it back.
    pub(super) async fn meanwhile<O>(&mut self, other: impl Future<Output = O>) -> O {
        tokio::pin!(other);
        let mut ended = Vec::new();
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut other => break answer,
                Some(one) = self.next(), if !self.is_empty() => ended.push(one),
            }
        };
        ended.into_iter().for_each(|one| self.push(ready(one)));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{sync::Semaphore, time::timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_behind_an_attempt_comes_after_it() {
        let connections = Arc::new(Semaphore::new(1));
        let held = connections.clone().acquire_owned().await.expect("the first");
        let mut attempts = InProgress::default();
        for n in 0..3 {
            let connections = connections.clone();
            attempts.push(async move { connections.acquire().await.map(|_| n).expect("never closed") });
        }
        assert!(attempts.next().now_or_never().is_none(), "they wait in the queue, before the look");
        let look = async {
            let waits = connections.acquire();
            tokio::pin!(waits);
            assert!(waits.as_mut().now_or_never().is_none());
            drop(held);
            waits.await.is_ok()
        };
        let looked = timeout(Duration::from_secs(60), attempts.meanwhile(look)).await;
        assert_eq!(looked, Ok(true), "the attempts have gone on");
        let mut ended = Vec::new();
        while let Some(n) = attempts.next().await {
            ended.push(n);
        }
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2], "none is lost");
    }
}
