//! `history`: plain runs after very many have ended and are kept, compared with a database that has few.

use std::sync::Arc;

use super::{
    closed, measure,
    place::{Place, Size},
    plain::Plain,
    report::Figures,
    scenario::Scenario,
};
use crate::engine::Registry;

/// Runs that are kept, by default and in full.
const KEPT: usize = 100_000;
const KEPT_IN_FULL: usize = 10_000_000;
/// Runs that are measured, before and after.
const MEASURED: usize = 20_000;

/// Runs it. The figures are of the runs after the others.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    let working = place.work(plain.register(Registry::new())).await?;
    let engine = &working.engine;
    closed::warm_up(engine, &plain).await?;
    measure::forget_peak_rss();
    let kept = place.size.runs.unwrap_or(if place.size.full { KEPT_IN_FULL } else { KEPT });
    let of = |runs| Place { size: Size { runs: Some(runs), ..Size::default() }, ..place.clone() };
    closed::under_load(engine, &plain, &of(MEASURED)).await?;
    let few = closed::under_load(engine, &plain, &of(MEASURED)).await?;
    closed::under_load(engine, &plain, &of(kept)).await?;
    let many = closed::under_load(engine, &plain, &of(MEASURED)).await?;
    working.end().await;
    let of_few = many.runs_per_s / few.runs_per_s;
    Ok(Figures { scenario: "history", ..many.with("kept", kept).with("plain_of_few", of_few) })
}
