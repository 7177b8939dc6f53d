//! Faults inside activities: every activity of a registry is wrapped, and asks its run's plan what is to happen.
//!
//! Without a plan for the run the wrapped activity is called as it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;

use super::super::{
    activity::{ActivityContext, Verified},
    activity_error::ActivityError,
    core::model::{Direction, Json, RunId},
    registry::{ActivityCode, BoxFuture},
};

/// What is to happen to a step's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The first attempt is refused, without an effect; for good or not.
    Fails { for_good: bool },
    /// The first attempt is not made, and nobody knows; for good or not.
    UnknownBefore { for_good: bool },
    /// The first attempt takes effect, and nobody knows; for good or not.
    UnknownAfter { for_good: bool },
}

/// What is to happen to one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// By step and direction; a fault happens once, and is gone.
    pub(super) faults: HashMap<(u32, Direction), Fault>,
    /// Everything is done twice, where it doesn't roll back.
    pub(super) twice: bool,
    /// The faults that have happened.
    pub(super) happened: Vec<(u32, Direction)>,
}

/// The plans of all runs, and the one that waits for the next new run: trials come one after another, and a saga may
/// leave the choice of the id to what it starts its runs through.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<(Option<Plan>, HashMap<RunId, Plan>)>);

impl Plans {
    pub(super) fn set_for_next(&self, plan: Plan) {
        self.lock().0 = Some(plan);
    }

    pub(super) fn happened(&self, run: RunId) -> Vec<(u32, Direction)> {
        self.lock().1.get(&run).map_or_else(Vec::new, |plan| plan.happened.clone())
    }

    fn take(&self, cx: &ActivityContext, direction: Direction) -> (Option<Fault>, bool) {
        let mut plans = self.lock();
        let (next, plans) = &mut *plans;
        if !plans.contains_key(&cx.run_id())
            && let Some(plan) = next.take()
        {
            plans.insert(cx.run_id(), plan);
        }
        let Some(plan) = plans.get_mut(&cx.run_id()) else { return (None, false) };
        let key = (cx.seq(), direction);
        let fault = plan.faults.remove(&key);
        if fault.is_some() {
            plan.happened.push(key);
        }
        // What rolls back with its transaction can't have been done before.
        (fault, plan.twice && cx.tx.is_none())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<Plan>, HashMap<RunId, Plan>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An activity with faults.
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn ActivityCode>,
    pub(super) plans: Arc<Plans>,
}

impl Faulty {
    /// `call` is the activity's own do or undo, which can be called again.
    async fn attempt<'a, T>(
        &'a self,
        cx: &'a ActivityContext,
        direction: Direction,
        call: impl Fn() -> BoxFuture<'a, Result<T, ActivityError>> + Send + Sync,
    ) -> Result<T, ActivityError> {
        let (fault, twice) = self.plans.take(cx, direction);
        if twice && fault.is_none() {
            call().await?;
        }
        let unknown = || ActivityError::unknown("injected", "the answer was lost on purpose");
        let (error, for_good) = match fault {
            None => return call().await,
            Some(Fault::Fails { for_good }) => (ActivityError::failed("injected", "refused on purpose"), for_good),
            Some(Fault::UnknownBefore { for_good }) => (unknown(), for_good),
            Some(Fault::UnknownAfter { for_good }) => {
                call().await?;
                (unknown(), for_good)
            }
        };
        Err(if for_good { error.fatal() } else { error })
    }
}

impl ActivityCode for Faulty {
    fn run<'a>(&'a self, cx: &'a ActivityContext, input: &'a str) -> BoxFuture<'a, Result<Json, ActivityError>> {
        self.attempt(cx, Direction::Forward, move || self.inner.run(cx, input)).boxed()
    }

    fn verify<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
    ) -> BoxFuture<'a, Result<Verified<Json>, ActivityError>> {
        self.inner.verify(cx, input)
    }

    fn undo<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
        output: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), ActivityError>> {
        self.attempt(cx, Direction::Undo, move || self.inner.undo(cx, input, output)).boxed()
    }

    fn check_output(&self, output: &str) -> Result<(), String> {
        self.inner.check_output(output)
    }

    fn undo_summary(&self, input: &str) -> Option<String> {
        self.inner.undo_summary(input)
    }

    fn undo_outlook<'a>(&'a self, input: &'a str) -> BoxFuture<'a, Option<String>> {
        self.inner.undo_outlook(input)
    }
}
