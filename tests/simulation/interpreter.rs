//! A program as workflow code, with a memory beside it: what had been answered when each call was made.
//!
//! That memory is the simulation's own notion of cause and effect, which the plan of undos is checked against; and it must
//! be the same each time the function is replayed.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use backstitch::engine::{
    Context, Failure,
    core::execution::{WorkflowCode, WorkflowFuture},
    join_all, to_json,
};

use crate::{
    kinds,
    program::{Call, Node, NodeId, Program},
};

/// What must not change from replay to replay, once it has been committed.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) kept: Known,
    /// Since the last commit.
    fresh: Known,
    pub(crate) broken: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// For each call: the calls whose answers the function had when it made it.
    pub(crate) before: HashMap<NodeId, BTreeSet<NodeId>>,
    /// The answers that calls were given: ok or not.
    answers: HashMap<NodeId, bool>,
}

impl Memory {
    /// A decision was committed: what the function learnt with it stands.
    pub(crate) fn commit(&mut self) {
        self.kept = self.fresh.clone();
    }

    /// A decision was lost with its worker.
    pub(crate) fn roll_back(&mut self) {
        self.fresh = self.kept.clone();
    }

    /// After a retry calls may be answered otherwise.
    pub(crate) fn forget(&mut self) {
        (self.kept, self.fresh) = (Known::default(), Known::default());
    }
}

pub(crate) struct Interpreter {
    pub(crate) program: Arc<Program>,
    pub(crate) memory: Arc<Mutex<Memory>>,
}

impl WorkflowCode for Interpreter {
    fn name(&self) -> &'static str {
        "program"
    }

    fn version(&self) -> i32 {
        1
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn begin(&self, cx: Context, _: &str) -> Result<WorkflowFuture, Failure> {
        let walk = Walk { cx, memory: self.memory.clone(), answered: Arc::default(), program: self.program.clone() };
        Ok(Box::pin(async move {
            let program = walk.program.clone();
            walk.node(&program.root).await?;
            to_json("done").map_err(|error| Failure::new("unencodable", error.to_string()))
        }))
    }
}

/// One execution of the function.
#[derive(Clone)]
struct Walk {
    cx: Context,
    memory: Arc<Mutex<Memory>>,
    answered: Arc<Mutex<BTreeSet<NodeId>>>,
    program: Arc<Program>,
}

type Walked<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

impl Walk {
    fn node<'a>(&'a self, node: &'a Node) -> Walked<'a> {
        Box::pin(async move {
            match node {
                Node::Call(call) => self.call(call).await,
                Node::Sleep { ms } => {
                    self.cx.sleep(Duration::from_millis(*ms)).await;
                    Ok(())
                }
                Node::Signal { name, within_ms, required } => self.signal(*name, *within_ms, *required).await,
                Node::Side(0) => self.cx.now().await.map(drop),
                Node::Side(1) => self.cx.random().await.map(drop),
                Node::Side(_) => self.cx.uuid().await.map(drop),
                Node::Pivot => {
                    self.cx.pivot().await;
                    Ok(())
                }
                Node::Seq(nodes) => {
                    for node in nodes {
                        self.node(node).await?;
                    }
                    Ok(())
                }
                Node::All(nodes) => join_all(nodes.iter().map(|node| self.node(node))).await.into_iter().collect(),
                Node::TryAll(nodes) => first_error(nodes.iter().map(|node| self.node(node)).collect()).await,
                Node::Race(nodes) => first(nodes.iter().map(|node| self.node(node)).collect()).await,
                Node::Fail => Err(Failure::new("meant_to_fail", "the program ends so")),
                Node::Panic => panic!("the program ends so"),
            }
        })
    }

    async fn call(&self, call: &Call) -> Result<(), Failure> {
        {
            let had = self.answered.lock().expect("no panic while locked").clone();
            let mut memory = self.memory.lock().expect("no panic while locked");
            let first = memory.fresh.before.entry(call.id).or_insert_with(|| had.clone());
            if *first != had {
                memory.broken =
                    Some(format!("call {} was made after {had:?}, on an earlier replay after another set", call.id));
            }
        }
        let answer = kinds::call(&self.cx, call).await;
        self.answered.lock().expect("no panic while locked").insert(call.id);
        {
            let mut memory = self.memory.lock().expect("no panic while locked");
            if answer.as_ref().is_ok_and(|id| *id != call.id) {
                memory.broken = Some(format!("call {} was given another call's answer: {answer:?}", call.id));
            }
            let first = *memory.fresh.answers.entry(call.id).or_insert(answer.is_ok());
            if first != answer.is_ok() {
                memory.broken = Some(format!("call {} was answered otherwise before: now {answer:?}", call.id));
            }
        }
        match answer {
            Err(failure) if call.required => Err(failure.into()),
            _ => Ok(()),
        }
    }

    async fn signal(&self, name: u8, within_ms: Option<u64>, required: bool) -> Result<(), Failure> {
        let wait = self.cx.signal::<u8>(&format!("signal{name}"));
        let got = match within_ms {
            Some(ms) => wait.within(Duration::from_millis(ms)).await?,
            None => Some(wait.forever().await?),
        };
        match got {
            Some(payload) if payload != name => Err(Failure::new("wrong_signal", "another signal's payload")),
            None if required => Err(Failure::new("no_signal", "it did not come in time")),
            _ => Ok(()),
        }
    }
}

/// Polls all, in their order; done at the first answer.
async fn first(mut branches: Vec<Walked<'_>>) -> Result<(), Failure> {
    std::future::poll_fn(move |waker| {
        let answered = branches.iter_mut().find_map(|branch| match branch.as_mut().poll(waker) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        });
        answered.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Polls all, in their order; done at the first failure, or when all are.
async fn first_error(branches: Vec<Walked<'_>>) -> Result<(), Failure> {
    let mut branches: Vec<_> = branches.into_iter().map(Some).collect();
    std::future::poll_fn(move |waker| {
        for branch in &mut branches {
            match branch.as_mut().map(|branch| branch.as_mut().poll(waker)) {
                Some(Poll::Ready(Ok(()))) => *branch = None,
                Some(Poll::Ready(error)) => return Poll::Ready(error),
                Some(Poll::Pending) | None => {}
            }
        }
        if branches.iter().all(Option::is_none) { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}
