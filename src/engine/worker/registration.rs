//! Telling the database who this worker is and what it can do.

use std::{
    collections::HashMap,
    sync::{PoisonError, atomic::Ordering},
};

use super::{config::SHORTEST_TAKEOVER, limits::within, shared::Shared};
use crate::engine::{
    error::Error,
    names::check_queue,
    read_models::ActivityInfo,
    store::{self, Lent, activities, holds, lanes, session},
};

/// Before the first lane is opened.
///
/// # Errors
/// When the database can't be reached, or a queue's name is not allowed.
pub(super) async fn register(shared: &Shared) -> Result<(), Error> {
    // A worker that served the queue of a held activity would begin held steps.
    shared.config.queues.iter().try_for_each(|queue| check_queue(Some(queue)))?;
    if shared.config.takeover_after < SHORTEST_TAKEOVER {
        let message = format!("it is at least {SHORTEST_TAKEOVER:?}");
        return Err(Error::InvalidField { field: "takeover_after".to_owned(), message });
    }
    register_workflows(shared).await?;
    let registering = async {
        let mut conn = Lent::of(shared.engine.pool()).await?;
        let differences = session::differences(&mut conn).await?;
        if !differences.is_empty() {
            tracing::warn!(
                ?differences,
                "sessions of the pool are not as the engine relies on: make it with `engine::guarded`"
            );
        }
        let id = lanes::register_worker(shared.schema(), &mut conn, &shared.as_row()).await?;
        shared.worker_id.store(id, Ordering::Relaxed);
        // Before the first claim: the first run may come to a held activity.
        shared.holds.set(holds::held_back(shared.schema(), &mut conn).await?);
        shared.clock.set(store::now(shared.schema(), &mut conn).await?);
        conn.give_back();
        Ok(())
    };
    within(shared.config.answer_within(), registering).await
}

/// Again when a lane was lost: a database that was restored may have other ids for these workflows.
///
/// # Errors
/// When the database can't be reached.
pub(super) async fn register_workflows(shared: &Shared) -> Result<(), Error> {
    let registering = async {
        let mut conn = Lent::of(shared.engine.pool()).await?;
        let (registry, mut by_id) = (shared.engine.shared_registry(), HashMap::new());
        registry.check()?;
        for code in registry.workflows() {
            let id = lanes::register_workflow(shared.schema(), &mut conn, &registry.registration(&**code)).await?;
            by_id.insert(id, code.clone());
        }
        let all: Vec<_> = registry.activities().into_iter().map(ActivityInfo::of).collect();
        activities::register(shared.schema(), &mut conn, &all).await?;
        conn.give_back();
        Ok(by_id)
    };
    let by_id = within(shared.config.answer_within(), registering).await?;
    *shared.code.write().unwrap_or_else(PoisonError::into_inner) = by_id;
    Ok(())
}
