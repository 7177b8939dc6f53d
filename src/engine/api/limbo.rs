//! The promise "no limbo" as one query: for tests after every fault, for `doctor`, and for a metric.
//!
//! Every run that has not ended is due, held by a live lane, or waits for something that is named and can still come. Rows
//! of this query are a bug of the engine, or were written into the tables by hand.

use serde::Serialize;
use sqlx::Row;

use crate::engine::{
    api::engine::Engine,
    core::model::{RunId, Status},
    error::Error,
};

/// As many as anybody wants to read.
const AT_MOST: i64 = 100;

/// A run that nothing will ever move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limbo {
    /// The run.
    pub run: RunId,
    /// Its status, as its row says.
    pub status: String,
    /// What is wrong, as a sentence.
    pub why: String,
}

impl Engine {
    /// The runs that are in limbo, the oldest hundred of them. Reads every run that has not ended.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn limbo(&self) -> Result<Vec<Limbo>, Error> {
        let rows = sqlx::query(self.schema().sql(include_str!("../store/sql/limbo.sql")))
            .bind(AT_MOST)
            .fetch_all(self.pool())
            .await?;
        let limbo = |row: &sqlx::postgres::PgRow| {
            let status: i16 = row.try_get("status")?;
            Ok(Limbo {
                run: row.try_get("id")?,
                status: Status::from_code(status).map_or_else(|| status.to_string(), |status| status.word().to_owned()),
                why: row.try_get("why")?,
            })
        };
        rows.iter().map(limbo).collect()
    }
}
