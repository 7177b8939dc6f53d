//! The steps of provisioning: each can be undone, and those at the provider can be asked whether they happened.

use std::{marker::PhantomData, time::Duration};

use backstitch::engine::{Activity, ActivityContext, ActivityError, Policy, Verified};
use serde::{Deserialize, Serialize};

use crate::provider::{Kind, Provider};

/// What every step is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    pub name: String,
}

/// The provider did not answer, or its answer was lost: it may have happened.
fn lost(error: sqlx::Error) -> ActivityError {
    ActivityError::unknown("provider_unreachable", error.to_string())
}

/// Creates one kind of resource at the provider.
pub struct Create<K>(Provider, PhantomData<fn() -> K>);

impl<K> Create<K> {
    pub const fn new(provider: Provider) -> Self {
        Self(provider, PhantomData)
    }
}

impl<K: Kind> Activity for Create<K> {
    const NAME: &'static str = K::STEP;
    const UNDOABLE: bool = true;
    const VERIFIABLE: bool = true;
    type Input = Tenant;
    type Output = String;

    fn policy() -> Policy {
        Policy { attempt_timeout: Duration::from_secs(10), ..Policy::default() }
    }

    async fn run(&self, cx: &ActivityContext, tenant: &Tenant) -> Result<String, ActivityError> {
        self.0.create(cx.key(), K::WORD, &tenant.name).await.map_err(lost)
    }

    async fn verify(&self, cx: &ActivityContext, _: &Tenant) -> Result<Verified<String>, ActivityError> {
        let found = self.0.find(cx.key()).await.map_err(lost)?;
        Ok(found.map_or(Verified::NeverWill, Verified::Happened))
    }

    async fn undo(&self, _: &ActivityContext, tenant: &Tenant, _: Option<&String>) -> Result<(), ActivityError> {
        self.0.release(K::WORD, &tenant.name).await.map_err(lost)
    }

    fn undo_summary(tenant: &Tenant) -> Option<String> {
        Some(format!("release the {} of {}", K::WORD, tenant.name))
    }
}

/// Moves the order on, in the step's own transaction: its row and its record commit together.
pub struct SetState;

/// The order's next state, and the one that an undo puts back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    pub tenant: String,
    pub to: String,
    pub back_to: String,
}

impl Activity for SetState {
    const NAME: &'static str = "set_state";
    const UNDOABLE: bool = true;
    const TRANSACTIONAL: bool = true;
    type Input = Change;
    type Output = ();

    async fn run(&self, cx: &ActivityContext, change: &Change) -> Result<(), ActivityError> {
        set_state(cx, &change.tenant, &change.to).await
    }

    async fn undo(&self, cx: &ActivityContext, change: &Change, _: Option<&()>) -> Result<(), ActivityError> {
        set_state(cx, &change.tenant, &change.back_to).await
    }
}

async fn set_state(cx: &ActivityContext, tenant: &str, state: &str) -> Result<(), ActivityError> {
    sqlx::query("UPDATE shop.orders SET state = $2 WHERE tenant = $1")
        .bind(tenant)
        .bind(state)
        .execute(&mut *cx.tx().await?)
        .await?;
    Ok(())
}

/// Counts what is active, for the nightly audit.
pub struct CountTenants;

impl Activity for CountTenants {
    const NAME: &'static str = "count_tenants";
    const TRANSACTIONAL: bool = true;
    type Input = ();
    type Output = i64;

    async fn run(&self, cx: &ActivityContext, (): &()) -> Result<i64, ActivityError> {
        let counted = sqlx::query_scalar(
            "INSERT INTO shop.audit (run_id, tenants)
             SELECT $1, count(*) FROM shop.orders WHERE state = 'active' RETURNING tenants",
        );
        Ok(counted.bind(cx.run_id()).fetch_one(&mut *cx.tx().await?).await?)
    }
}
