//! Steps of several orders at the same time: one statement of a kind for all, and for each its own result.
//!
//! `run` of such an activity is the same for one. What one order comes to is a rule on its locked row, without SQL; only
//! orders that pass are written.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::refused;
use crate::{
    engine::{Activity, ActivityCalls, ActivityError, Answer, RunId},
    orders::{Error, Order, store},
};

/// A result for each call, in their order.
pub(super) type Results<T> = Vec<Result<T, ActivityError>>;

/// Locks the orders of a group, by id.
///
/// # Errors
/// Two runs of one order: each has to see what the other has done. They are tried one by one.
pub(super) async fn lock_all(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Results<Order>, ActivityError> {
    let found = store::orders::lock_all(conn, ids.to_vec()).await?;
    let mut found: HashMap<Uuid, Order> = found.into_iter().map(|order| (order.id, order)).collect();
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|two| two.first() == two.last()) {
        return Err(ActivityError::failed("same_order", "two runs of one order at the same time"));
    }
    Ok(ids.iter().map(|id| found.remove(id).ok_or_else(|| refused(Error::UnknownOrder(*id)))).collect())
}

/// An order after its rule.
pub(super) struct Moved {
    pub(super) order: Order,
    changed: bool,
}

/// Moves each order by a rule.
pub(super) fn apply<I>(
    orders: Results<Order>,
    inputs: &[I],
    mut rule: impl FnMut(&mut Order, &I) -> Result<(), ActivityError>,
) -> Results<Moved> {
    let apply = |(before, input): (Result<Order, ActivityError>, &I)| {
        let before = before?;
        let mut order = before.clone();
        rule(&mut order, input)?;
        Ok(Moved { changed: order != before, order })
    };
    orders.into_iter().zip(inputs).map(apply).collect()
}

/// Writes those that passed and have changed.
pub(super) async fn save_all(conn: &mut PgConnection, moved: &Results<Moved>) -> Result<(), ActivityError> {
    let changed: Vec<&Order> = moved.iter().flatten().filter(|moved| moved.changed).map(|moved| &moved.order).collect();
    Ok(store::orders::save_all(conn, &changed).await?)
}

/// What is read off each that passed.
pub(super) fn read_off<T>(moved: Results<Moved>, mut read: impl FnMut(&Order) -> T) -> Results<T> {
    moved.into_iter().map(|moved| moved.map(|moved| read(&moved.order))).collect()
}

/// The only result.
pub(super) fn only<T>(mut results: Results<T>) -> Result<T, ActivityError> {
    results.pop().unwrap_or_else(|| Err(ActivityError::failed("no_result", "the step has no result").fatal()))
}

/// The inputs of calls, with their runs.
pub(super) fn inputs_by_run<'a, A: Activity>(calls: &'a ActivityCalls<'_, A>) -> Vec<(&'a A::Input, RunId)> {
    calls.iter().map(|call| (call.input, call.cx.run_id())).collect()
}

/// The inputs of calls.
pub(super) fn inputs<'a, A: Activity>(calls: &'a ActivityCalls<'_, A>) -> Vec<&'a A::Input> {
    calls.iter().map(|call| call.input).collect()
}

/// The results as answers.
pub(super) fn answers<A: Activity, T>(
    calls: &ActivityCalls<'_, A>,
    results: Results<T>,
) -> Result<Vec<Answer<T>>, ActivityError> {
    Ok(calls.iter().zip(results).map(|(call, result)| call.answer(result)).collect())
}
