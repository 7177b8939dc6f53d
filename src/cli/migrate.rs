//! `backstitch migrate`: brings the schema up to date. Safe to run twice or concurrently.

use anyhow::Context;

use super::output::tell;
use crate::{
    config::DatabaseArgs,
    engine::{Engine, Registry},
};

/// The database.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Applies missing migrations.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let engine = Engine::new(args.database.pool(2)?, Registry::new());
    let missing = engine.missing_migrations().await.context("the database can't be read")?;
    engine.migrate().await.context("the schema could not be brought up to date")?;
    match missing.as_slice() {
        [] => tell("the schema is up to date"),
        versions => tell(format!("applied {} migration(s); the schema is up to date", versions.len())),
    }
    Ok(())
}
