//! How much a load runs, where, and how far it has come: what `bench` and `bench compare` share.

use std::sync::Arc;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{PgPool, postgres::PgPoolOptions};

use crate::{
    bench::{Place, Size},
    config::SchemaArgs,
    engine::guarded,
};

/// Connections of starters, REST and activities; each worker has its own beside them.
const CONNECTIONS: u32 = 20;

/// How much to run, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
    /// Number of runs or orders; by default what each scenario takes for some ten seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: Option<u32>,
    /// Seconds of load, in place of a number of runs
    #[arg(long, value_name = "N", conflicts_with = "runs", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) seconds: Option<u64>,
    /// The sizes that are promised, where a scenario is smaller by default: timers, history, soak
    #[arg(long, conflicts_with_all = ["runs", "seconds"])]
    full: bool,
    /// Database to migrate and fill; without it, an embedded one is used and removed, and each scenario gets a database of its own
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(super) database_url: Option<String>,
    #[command(flatten)]
    schema: SchemaArgs,
    /// Number of workers in this process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Maximum number of runs in progress per worker
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    slots: u32,
}

pub(super) async fn connect(url: &str) -> anyhow::Result<PgPool> {
    let options = guarded(PgPoolOptions::new()).max_connections(CONNECTIONS);
    options.connect(url).await.context("the database can't be reached")
}

pub(super) type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

pub(super) fn place(load: &Load, url: &str, pool: &PgPool, progress: Progress) -> anyhow::Result<Place> {
    Ok(Place {
        url: url.to_owned(),
        pool: pool.clone(),
        schema: load.schema.name.clone(),
        workers: load.workers.into(),
        slots: load.slots as usize,
        size: Size { runs: load.runs.map(|runs| runs as usize), seconds: load.seconds, full: load.full },
        program: std::env::current_exe()?,
        progress,
    })
}

/// Shows how much is done, on a terminal.
pub(super) async fn with_bar<T, F: Future<Output = anyhow::Result<T>>>(
    label: &str,
    run: impl FnOnce(Progress) -> F,
) -> anyhow::Result<T> {
    let bar = ProgressBar::new(0).with_message(label.to_owned());
    bar.set_style(ProgressStyle::with_template("{msg:14} {bar:30} {pos}/{len}  {elapsed}")?);
    let shown = bar.clone();
    let done = run(Arc::new(move |done, of| {
        shown.set_length(of);
        shown.set_position(done);
    }));
    let done = done.await;
    bar.finish_and_clear();
    done
}
