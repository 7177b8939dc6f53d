//! `backstitch bench compare` and `bench chart`: ours beside other programs, in turn, and drawings of what came of it.

use std::{fs, io, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use reqwest::Url;

use super::{
    load::{Load, connect, place, with_bar},
    output::{self, Out},
};
use crate::{
    bench::{self, Comparison, Contender, Name, Rival, Turns},
    embedded::Embedded,
};

/// Measure ours and other programs in turn, and how much faster ours is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What ours runs
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Name::Plain)]
    scenario: Name,
    /// Another program: a shell command that prints JSON with `runs_per_s`. It gets `DATABASE_URL`, an empty database of the
    /// same server, `BACKSTITCH`, this program, and `RUNS` where a number is given
    #[arg(long = "with", value_name = "NAME=COMMAND", required = true)]
    rivals: Vec<Rival>,
    /// Rounds of each
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Longest round of another program
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    limit: Duration,
    #[command(flatten)]
    load: Load,
}

/// What to draw
#[derive(Debug, clap::Args)]
pub(super) struct ChartArgs {
    /// JSON of `bench compare` or of `bench --scenario soak`; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs them in turn and prints the comparison.
///
/// # Errors
/// When there is no database, or one of them fails.
pub(super) async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    let mut names: Vec<&str> = args.rivals.iter().map(|rival| &*rival.name).collect();
    names.sort_unstable();
    names.dedup();
    ensure!(names.len() == args.rivals.len(), "two programs have the same name");
    let embedded = match &args.load.database_url {
        Some(_) => None,
        None => Some(Embedded::temporary().await?),
    };
    let compared = compare(args, embedded.as_ref()).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let comparison = compared?;
    out.show(&comparison, || table(&comparison))
}

async fn compare(args: Args, embedded: Option<&Embedded>) -> anyhow::Result<Comparison> {
    let url = args.load.database_url.clone().or(embedded.map(Embedded::url)).unwrap_or_default();
    let server: Url = url.parse().context("the database's URL can't be read")?;
    let url_of = |database: &str| {
        let mut url = server.clone();
        url.set_path(database);
        url.to_string()
    };
    let pool = connect(&url).await?;
    let label = args.scenario.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let Args { scenario, rivals, rounds, limit, load } = args;
    let turns = Turns { scenario, label, rivals, rounds, limit };
    let compared = with_bar("rounds", |progress| {
        let (turns, pool, load, url) = (&turns, &pool, &load, &url);
        async move { bench::run_in_turn(turns, &place(load, url, pool, progress)?, url_of).await }
    });
    let compared = compared.await;
    pool.close().await;
    compared
}

/// A row for each program.
fn table(comparison: &Comparison) -> String {
    let row = |contender: &Contender| {
        let rate = contender.runs_per_s;
        let mut row =
            vec![contender.name.clone(), format!("{:.0}", rate.median), format!("{:.0} to {:.0}", rate.min, rate.max)];
        row.extend(match contender.ours_times {
            Some(times) => [format!("{:.2}", times.median), format!("{:.2} to {:.2}", times.min, times.max)],
            None => [String::new(), String::new()],
        });
        row
    };
    let header = ["PROGRAM", "RUNS/S", "SLOWEST, FASTEST", "OURS ×", "LEAST, MOST"];
    output::table(&header, comparison.contenders.iter().map(row))
}

/// Prints the drawing of a file.
///
/// # Errors
/// When the file can't be read, or has nothing that can be drawn.
pub(super) fn draw(args: &ChartArgs) -> anyhow::Result<()> {
    let name = args.file.display();
    let printed = match args.file.to_str() {
        Some("-") => io::read_to_string(io::stdin()),
        _ => fs::read_to_string(&args.file),
    };
    let printed = printed.with_context(|| format!("{name} can't be read"))?;
    output::say(&bench::draw(&printed).with_context(|| name.to_string())?)
}
