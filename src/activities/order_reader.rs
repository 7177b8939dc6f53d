//! Reads orders for steps, outside of a transaction. Reads that come together share a statement.

use std::{collections::HashMap, sync::Arc};

use sqlx::PgPool;
use uuid::Uuid;

use super::refused;
use crate::{
    engine::{self, ActivityError, Batched, Batcher, Lent},
    orders::{Error, Order, store},
};

type Read = Result<Option<Order>, engine::Error>;

/// Cheap to clone; the clones read together.
#[derive(Clone)]
pub(super) struct OrderReader {
    pool: PgPool,
    reads: Arc<Batcher<Uuid, Read>>,
}

impl OrderReader {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, reads: Arc::default() }
    }

    /// An order without its lines.
    pub(super) async fn read(&self, id: Uuid) -> Result<Order, ActivityError> {
        let lost = || Err(engine::Error::Unavailable(sqlx::Error::WorkerCrashed));
        let order = self.reads.submit(self, id).await.unwrap_or_else(lost)?;
        order.ok_or_else(|| refused(Error::UnknownOrder(id)))
    }

    async fn rows(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Order>, engine::Error> {
        let mut conn = Lent::of(&self.pool).await?;
        let rows = store::orders::rows(&mut conn, ids).await?;
        conn.give_back();
        Ok(rows)
    }
}

impl Batched for OrderReader {
    type Request = Uuid;
    type Answer = Read;

    async fn together(&self, ids: Vec<Uuid>) -> Vec<Option<Read>> {
        match self.rows(&ids).await {
            Ok(rows) => ids.iter().map(|id| Some(Ok(rows.get(id).cloned()))).collect(),
            Err(error) => error.shared_by(ids.len()),
        }
    }

    async fn alone(&self, id: Uuid) -> Read {
        Ok(self.rows(&[id]).await?.remove(&id))
    }
}
