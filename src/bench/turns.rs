//! Rounds in turn: ours, each of the others, ours again. A machine that slows down or speeds up meanwhile does so for all.

use std::{process, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use sqlx::postgres::PgPoolOptions;

use super::{
    Name,
    compare::{Comparison, OURS},
    measure,
    place::Place,
    rival::Rival,
    run_scenario,
};
use crate::engine::guarded;

/// What to run in turn.
#[derive(Clone, Debug)]
pub struct Turns {
    /// By ours.
    pub scenario: Name,
    /// As it is called on the command line.
    pub label: String,
    /// The others.
    pub rivals: Vec<Rival>,
    /// Rounds of each.
    pub rounds: u32,
    /// The longest round of another.
    pub limit: Duration,
}

/// Runs them, each round in a database of its own on the place's server, removed afterwards; `url_of` gives its URL.
///
/// # Errors
/// When a scenario fails or another program does, or prints nothing of use: then there is no comparison.
pub async fn run_in_turn(turns: &Turns, place: &Place, url_of: impl Fn(&str) -> String) -> anyhow::Result<Comparison> {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); turns.rivals.len() + 1];
    let all = rates.len() as u64 * u64::from(turns.rounds);
    let mut done = 0;
    for round in 1..=turns.rounds {
        for (at, rates) in rates.iter_mut().enumerate() {
            (place.progress)(done, all);
            let rival = at.checked_sub(1).and_then(|at| turns.rivals.get(at));
            let database = format!("bench_{}_{done}", process::id());
            measure::create_database(&place.pool, &database).await?;
            let measured = tokio::select! {
                measured = run_once(turns, rival, place, url_of(&database)) => measured,
                _ = tokio::signal::ctrl_c() => Err(anyhow!("it was interrupted")),
            };
            measure::drop_database(&place.pool, &database).await?;
            let name = rival.map_or(OURS, |rival| &*rival.name);
            rates.push(measured.with_context(|| format!("{name}, round {round}"))?);
            done += 1;
        }
    }
    (place.progress)(done, all);
    let mut rates = rates.into_iter();
    let ours = rates.next().unwrap_or_default();
    let others = turns.rivals.iter().map(|rival| rival.name.clone()).zip(rates).collect();
    let postgres = measure::read_settings(&place.pool).await?;
    Comparison::new(&turns.label, ours, others, postgres).context("there was no round")
}

/// One round of ours, or of another; gives its runs a second.
async fn run_once(turns: &Turns, rival: Option<&Rival>, place: &Place, url: String) -> anyhow::Result<f64> {
    let Some(rival) = rival else {
        let options = guarded(PgPoolOptions::new()).max_connections(place.pool.options().get_max_connections());
        let pool = options.connect(&url).await.context("the database can't be reached")?;
        let place = Place { url, pool: pool.clone(), progress: Arc::new(|_, _| {}), ..place.clone() };
        let figures = run_scenario(turns.scenario, &place).await;
        pool.close().await;
        return Ok(figures?.runs_per_s);
    };
    rival.run(&Place { url, ..place.clone() }, turns.limit).await
}
