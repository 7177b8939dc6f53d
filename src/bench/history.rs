//! `history`: plain runs after very many have ended and are kept, compared with a schema that has few.

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
/// Runs that are measured at once, and how often on each side.
const MEASURED: usize = 20_000;
const ROUNDS: usize = 3;

/// Runs it. The figures are of runs beside the many, measured in turn with as many in a schema that has few: within the time that
/// the many take, a machine changes more than they do.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let plain = Arc::new(Plain::new()?);
    let with_few = Place { schema: format!("{}_few", place.schema), ..place.clone() };
    let working =
        [place.work(plain.register(Registry::new())).await?, with_few.work(plain.register(Registry::new())).await?];
    let [many, few] = [&working[0].engine, &working[1].engine];
    let of = |runs| Place { size: Size { runs: Some(runs), ..Size::default() }, ..place.clone() };
    for engine in [many, few] {
        closed::warm_up(engine, &plain).await?;
        closed::under_load(engine, &plain, &of(MEASURED)).await?;
    }
    measure::forget_peak_rss();
    let kept = place.size.runs.unwrap_or(if place.size.full { KEPT_IN_FULL } else { KEPT });
    let mut measured = closed::under_load(many, &plain, &of(kept)).await?;
    let (mut of_many, mut of_few) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(closed::under_load(few, &plain, &of(MEASURED)).await?.runs_per_s);
        measured = closed::under_load(many, &plain, &of(MEASURED)).await?;
        of_many.push(measured.runs_per_s);
    }
    for working in working {
        working.end().await;
    }
    let plain_of_few = of_many.iter().sum::<f64>() / of_few.iter().sum::<f64>();
    let figures = Figures { scenario: "history", ..measured.with("kept", kept) };
    Ok(figures.with("runs_per_s_of_many", of_many).with("runs_per_s_of_few", of_few).with("plain_of_few", plain_of_few))
}
