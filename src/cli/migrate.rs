//! `backstitch migrate`: brings the schema up to date. Safe to run twice or concurrently.

use anyhow::Context;

use super::output::tell;
use crate::config::DatabaseArgs;
#[cfg(feature = "shop")]
use crate::orders::{Orders, ShopSettings};

/// The database.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Applies missing migrations.
pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let engine = args.database.engine()?;
    let missing = engine.missing_migrations().await.context("the database can't be read")?;
    #[cfg(feature = "shop")]
    let orders = Orders::new(engine.clone(), ShopSettings::default());
    #[cfg(feature = "shop")]
    let missing = [missing, orders.missing_migrations().await.context("the database can't be read")?].concat();
    let migrated = async {
        engine.migrate().await?;
        #[cfg(feature = "shop")]
        orders.migrate().await?;
        anyhow::Ok(())
    };
    migrated.await.context("the schema could not be brought up to date")?;
    let newer = engine.newer_migrations().await.context("the database can't be read")?;
    match missing.len() {
        0 if !newer.is_empty() => {
            tell(format!("the schema is newer than this release (migrations {newer:?}), and still serves it"));
        }
        0 => tell("the schema is up to date"),
        number => tell(format!("applied {number} migration(s); the schema is up to date")),
    }
    Ok(())
}
