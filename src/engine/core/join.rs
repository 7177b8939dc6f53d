//! Side by side: all branches are polled in order on every turn, so that positions are the same on replay.
//!
//! `tokio::join!` and `FuturesUnordered` choose or rotate the branch that goes first, and wait for wakers that nobody
//! here calls; use these instead.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::Poll,
};

/// Runs two branches side by side and gives both answers. A branch is a call, or any future over the run's context.
pub async fn join<A: IntoFuture, B: IntoFuture>(a: A, b: B) -> (A::Output, B::Output) {
    futures_util::future::join(a.into_future(), b.into_future()).await
}

/// Runs any number of branches side by side and gives the answers in their order.
pub async fn join_all<B: IntoFuture>(branches: impl IntoIterator<Item = B>) -> Vec<B::Output> {
    enum Branch<F: Future> {
        Going(Pin<Box<F>>),
        Done(Option<F::Output>),
    }
    let mut branches: Vec<Branch<B::IntoFuture>> =
        branches.into_iter().map(|branch| Branch::Going(Box::pin(branch.into_future()))).collect();
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
