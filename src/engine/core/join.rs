//! Side by side: all branches are polled in order on every turn, so that positions are the same on replay.
//!
//! `tokio::join!` and `FuturesUnordered` choose or rotate the branch that goes first, and wait for wakers that nobody
//! here calls; use these instead.

use std::{future::Future, pin::Pin, task::Poll};

/// Runs two branches side by side and gives both answers.
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    futures_util::future::join(a, b).await
}

/// Runs any number of branches side by side and gives the answers in their order.
pub async fn join_all<F: Future>(branches: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    enum Branch<F: Future> {
        Going(Pin<Box<F>>),
        Done(Option<F::Output>),
    }
    let mut branches: Vec<Branch<F>> = branches.into_iter().map(|f| Branch::Going(Box::pin(f))).collect();
    std::future::poll_fn(move |waker| {
        let mut open = false;
        for branch in &mut branches {
            if let Branch::Going(future) = branch {
                match future.as_mut().poll(waker) {
                    Poll::Ready(answer) => *branch = Branch::Done(Some(answer)),
                    Poll::Pending => open = true,
                }
            }
        }
        if open {
            return Poll::Pending;
        }
        let answers = branches.iter_mut().filter_map(|branch| match branch {
            Branch::Done(answer) => answer.take(),
            Branch::Going(_) => None,
        });
        Poll::Ready(answers.collect())
    })
    .await
}
