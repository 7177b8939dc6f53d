//! `history`: plain runs after very many have ended and are kept, compared with a schema that has few.

use super::{
    beside_few::Pair,
    closed, measure,
    place::{Place, Size},
    report::Figures,
};

/// Runs that are kept, by default and in full.
const KEPT: usize = 100_000;
const KEPT_IN_FULL: usize = 10_000_000;

/// Runs it. The figures are of runs beside the many.
pub(super) async fn run(place: &Place) -> anyhow::Result<Figures> {
    let pair = Pair::open(place).await?;
    measure::forget_peak_rss();
    let kept = place.size.runs.unwrap_or(if place.size.full { KEPT_IN_FULL } else { KEPT });
    let to_keep = Place { size: Size { runs: Some(kept), ..Size::default() }, ..place.clone() };
    closed::under_load(pair.engine(), &pair.plain, &to_keep).await?;
    let compared = pair.compare(place).await?;
    pair.end().await;
    let plain_of_few = compared.ratio();
    let figures = Figures { scenario: "history", ..compared.last.with("kept", kept) };
    let figures = figures.with("runs_per_s_of_many", compared.of_many).with("runs_per_s_of_few", compared.of_few);
    Ok(figures.with("plain_of_few", plain_of_few))
}
