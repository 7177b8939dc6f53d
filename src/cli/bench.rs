//! `backstitch bench`: loads on a given database, or on an embedded one that is removed afterwards.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use super::{
    compare,
    load::{Load, connect, place, with_bar},
    output::{self, Out, tell},
};
use crate::{
    bench::{self, Figures, Floor, Name, Posting, Report},
    embedded::Embedded,
};

/// Measure what runs and orders cost: throughput, latency, write-ahead log, commits, statements, memory
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Scenarios to run, separated by commas, or all; without it, the standard load, reported as one object
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = scenarios())]
    scenario: Vec<String>,
    /// Measure what Postgres and the disk do without an engine
    #[arg(long, conflicts_with = "scenario")]
    floor: bool,
    /// What the scenario `rest` starts: post so many runs to this server
    #[arg(long, value_name = "URL", hide = true)]
    post_to: Option<String>,
    /// One run in each request
    #[arg(long, hide = true, requires = "post_to")]
    single: bool,
    /// What the scenario `workers` starts: work until the input ends
    #[arg(long, hide = true)]
    work: bool,
    #[command(flatten)]
    load: Load,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Measure ours and other programs in turn, and how much faster ours is
    Compare(compare::Args),
    /// Draw a comparison or a soak as SVG
    Chart(compare::ChartArgs),
}

const ALL: &str = "all";

fn scenarios() -> clap::builder::PossibleValuesParser {
    let named = Name::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    named.chain([clap::builder::PossibleValue::new(ALL).help("Each of them")]).into()
}

impl Args {
    /// Scenarios report the statements that they cost.
    pub(super) const fn counts_statements(&self) -> bool {
        !self.scenario.is_empty()
    }

    fn names(&self) -> Vec<Name> {
        if self.scenario.iter().any(|name| name == ALL) {
            return Name::value_variants().to_vec();
        }
        self.scenario.iter().filter_map(|name| Name::from_str(name, false).ok()).collect()
    }
}

/// Runs the loads and prints the report.
///
/// # Errors
/// When there is no database, or what a scenario claims did not happen.
pub(super) async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    match args.verb {
        Some(Verb::Compare(args)) => return compare::run(args, out).await,
        Some(Verb::Chart(args)) => return compare::draw(&args),
        None => {}
    }
    if let Some(url) = args.post_to {
        let posting = Posting { url, runs: args.load.runs.unwrap_or(1) as usize, single: args.single };
        return output::say(&serde_json::to_string(&bench::post_runs(&posting).await?)?);
    }
    let embedded = match &args.load.database_url {
        Some(_) => None,
        None => Some(Embedded::temporary().await?),
    };
    let url = args.load.database_url.clone().or(embedded.as_ref().map(Embedded::url)).unwrap_or_default();
    let measured = measure(&args, &url, embedded.as_ref(), out).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    measured
}

async fn measure(args: &Args, url: &str, embedded: Option<&Embedded>, out: Out) -> anyhow::Result<()> {
    let pool = connect(url).await?;
    if args.work {
        return bench::work(&place(&args.load, url, &pool, Arc::new(|_, _| {}))?).await;
    }
    if args.floor {
        let span = Duration::from_secs(args.load.seconds.unwrap_or(3));
        let floor = bench::measure_floor(&pool, span).await?;
        return out.show(&floor, || floor_table(&floor));
    }
    if args.scenario.is_empty() {
        let report =
            with_bar(
                "standard load",
                |progress| async move { bench::run(&place(&args.load, url, &pool, progress)?).await },
            );
        let report = report.await?;
        return out.show(&report, || table(&report));
    }
    let mut all = Vec::new();
    for name in args.names() {
        // A load leaves tables that the next one should not find.
        let url = match embedded {
            Some(server) => server.url_of(&bench::create_database(&pool, name).await?),
            None => url.to_owned(),
        };
        let pool = connect(&url).await?;
        let label = name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let run = with_bar(&label, |progress| {
            let (url, pool) = (url.clone(), pool.clone());
            async move { bench::run_scenario(name, &place(&args.load, &url, &pool, progress)?).await }
        });
        let figures = run.await.with_context(|| format!("scenario {label}"));
        pool.close().await;
        let figures = figures?;
        if args.names().len() > 1 {
            tell(format!("{label}: {:.0} runs a second", figures.runs_per_s));
        }
        all.push(figures);
    }
    let floor = match args.names().len() {
        0 | 1 => None,
        _ => Some(bench::measure_floor(&pool, Duration::from_secs(2)).await?),
    };
    pool.close().await;
    out.show(&all, || scenario_table(&all, floor))
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

fn floor_table(floor: &Floor) -> String {
    [
        format!("{:>14.0} commits of one row a second, on one connection", floor.commits_per_s),
        format!("{:>14.0} rows a second, in statements of 500", floor.rows_per_s),
        format!("{:>14.0} pages a second that reach the disk", floor.fsync_per_s),
    ]
    .join("\n")
}

/// A row per scenario, then what only it has.
fn scenario_table(all: &[Figures], floor: Option<Floor>) -> String {
    let plain = all.iter().find(|figures| figures.scenario == "plain").map(|figures| figures.runs_per_s);
    let row = |figures: &Figures| {
        let of_plain = plain.map_or_else(String::new, |plain| format!("{:.2}", figures.runs_per_s / plain));
        vec![
            figures.scenario.to_owned(),
            format!("{:.0}", figures.runs_per_s),
            of_plain,
            format!("{:.1}", figures.latency_ms_p50),
            format!("{:.1}", figures.latency_ms_p99),
            figures.wal_bytes_per_run.to_string(),
            format!("{:.2}", figures.commits_per_run),
            figures.statements_per_run.map_or_else(String::new, |count| format!("{count:.2}")),
            format!("{:.0}", figures.rss_mb),
        ]
    };
    let header = ["SCENARIO", "RUNS/S", "× PLAIN", "P50 MS", "P99 MS", "LOG B", "TX", "STATEM.", "RSS MB"];
    let mut text = output::table(&header, all.iter().map(row));
    for figures in all {
        let shown = |value: &Value| value.as_f64().map_or_else(|| value.to_string(), |number| format!("{number:.2}"));
        let more: Vec<String> = figures
            .more
            .iter()
            .filter(|(_, value)| value.is_number())
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect();
        if !more.is_empty() {
            text.push_str(&format!("\n{}: {}", figures.scenario, more.join(", ")));
        }
    }
    if let Some(floor) = floor {
        text.push_str(&format!("\n\nfloor\n{}", floor_table(&floor)));
        let orders = all.iter().find(|figures| figures.scenario == "orders");
        if let Some(orders) = orders {
            text.push_str(&format!("\n{:>14.3} orders for each commit", orders.runs_per_s / floor.commits_per_s));
        }
    }
    text
}
