//! Migrations: the engine's own, and those of what is built on it.

use sqlx::migrate::Migrator;

use super::Engine;
use crate::engine::{
    error::Error,
    store::{migrate, retention, schema::Schema, session},
};

impl Engine {
    /// Makes the engine's schema, or brings it up to date; nothing else is touched. Safe to run twice or side by side.
    ///
    /// # Errors
    /// When the database can't be reached or a migration fails; `unsupported_encoding`; `incomplete_history` where an earlier
    /// version left its migrations half done; `old_workers` where workers live that could not go on; `schema_too_new`. A newer
    /// schema that serves this release is left as it is.
    pub async fn migrate(&self) -> Result<(), Error> {
        let encoding = session::encoding(&mut *self.acquire().await?).await?;
        if encoding != "UTF8" {
            return Err(Error::UnsupportedEncoding(encoding));
        }
        migrate::migrate(self.pool(), self.schema()).await?;
        // A database that no server has looked after for a month has no partition for today.
        while retention::make_partition(self.schema(), self.pool()).await? {}
        Ok(())
    }

    /// The migrations that the database still lacks.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn missing_migrations(&self) -> Result<Vec<i64>, Error> {
        migrate::find_missing(self.pool(), self.schema()).await
    }

    /// The migrations that a newer release has applied and this one doesn't know.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn newer_migrations(&self) -> Result<Vec<i64>, Error> {
        migrate::newer(self.pool(), self.schema()).await
    }

    /// Makes another schema of the same database, or brings it up to date, by a history of migrations of its own that is recorded
    /// in its table `migration`. In their texts `{schema}` stands for the engine's schema, as in `{schema}.now()`. Safe to run twice
    /// or side by side. The engine's own migrations come first.
    ///
    /// # Errors
    /// When the database can't be reached or a migration fails; `invalid_schema`; `schema_too_new`.
    pub async fn apply_migrations(&self, history: &Migrator, schema: &str) -> Result<(), Error> {
        migrate::apply(self.pool(), history, self.schema(), &Schema::new(schema)?).await
    }

    /// The migrations of another schema's history that the database still lacks.
    ///
    /// # Errors
    /// When the database can't be reached; `invalid_schema`.
    pub async fn missing_migrations_of(&self, history: &Migrator, schema: &str) -> Result<Vec<i64>, Error> {
        migrate::missing_of(self.pool(), history, &Schema::new(schema)?).await
    }
}
