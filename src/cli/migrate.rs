//! `backstitch migrate`: brings the schema up to date. Safe to run twice or concurrently.

use anyhow::Context;

use super::output::tell;
use crate::{
    config::DatabaseArgs,
    orders::{Error, Orders, ShopSettings},
};

/// The database.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Applies missing migrations.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let engine = args.database.engine()?;
    let orders = Orders::new(engine.clone(), ShopSettings::default());
    let missing =
        async || Ok::<_, Error>([engine.missing_migrations().await?, orders.missing_migrations().await?].concat());
    let before = missing().await.context("the database can't be read")?.len();
    orders.migrate().await.context("the schema could not be brought up to date")?;
    match before {
        0 => tell("the schema is up to date"),
        number => tell(format!("applied {number} migration(s); the schema is up to date")),
    }
    Ok(())
}
