//! `backstitch bench`: the standard load on a given database, or on an embedded one that is removed afterwards.

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::output::Out;
use crate::{
    bench::{self, Load, Report},
    config::SchemaArgs,
    embedded::Embedded,
    engine::guarded,
};

/// Measure throughput, latency, write-ahead log and memory with the standard load
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Number of runs under load; 200 more are then started one at a time
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Database to migrate and fill; without it, an embedded one is used and removed
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[command(flatten)]
    schema: SchemaArgs,
    /// Number of workers in this process
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Maximum number of runs in progress per worker
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    slots: u32,
}

/// Runs the load and prints the report.
///
/// # Errors
/// When there is no database, or the runs in it are not what they should be.
pub(super) async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    let embedded = match &args.database_url {
        Some(_) => None,
        None => Some(Embedded::temporary().await?),
    };
    let url = args.database_url.clone().or(embedded.as_ref().map(Embedded::url)).unwrap_or_default();
    let pool = guarded(PgPoolOptions::new())
        .max_connections(12)
        .connect(&url)
        .await
        .context("the database can't be reached")?;
    let measured = measure(&pool, &args).await;
    pool.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let report = measured?;
    out.show(&report, || table(&report))
}

fn table(report: &Report) -> String {
    let mut lines = vec![
        format!(
            "{:>14.0} runs a second, {:.0} steps ({} runs in {:.2} s)",
            report.runs_per_s, report.steps_per_s, report.runs, report.seconds
        ),
        format!(
            "{:>14.2} ms for a run of five steps on the idle engine (p99 {:.2})",
            report.latency_ms_p50, report.latency_ms_p99
        ),
        format!("{:>14} bytes of log a run, {} of database", report.wal_bytes_per_run, report.db_bytes_per_run),
        format!("{:>14.4} commits a run", report.commits_per_run),
        format!("{:>14.0} MB resident at most", report.rss_mb),
    ];
    let settings = report.postgres.iter().map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default()));
    lines.push(format!("Postgres: {}", settings.collect::<Vec<_>>().join(", ")));
    lines.join("\n")
}

async fn measure(pool: &PgPool, args: &Args) -> anyhow::Result<Report> {
    let bar = ProgressBar::new(u64::from(args.runs));
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} runs  {per_sec}  {elapsed}")?);
    let load = Load { runs: args.runs as usize, workers: args.workers.into(), slots: args.slots as usize };
    let report = bench::run(pool, &args.schema.name, load, |ended| bar.set_position(ended)).await;
    bar.finish_and_clear();
    Ok(report?)
}
