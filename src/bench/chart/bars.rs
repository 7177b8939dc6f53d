//! A comparison: a bar for each program's median, and over it a line from its slowest round to its fastest.

use super::{
    super::compare::Comparison,
    svg::{Drawing, WIDTH, number},
};

const TOP: f64 = 58.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;
const NAMES: f64 = 130.0;
/// For what stands to the right of the longest bar.
const SAID: f64 = 190.0;

/// Draws it; none where there is nothing.
pub(super) fn draw(comparison: &Comparison) -> Option<String> {
    let most = comparison.contenders.iter().map(|contender| contender.runs_per_s.max).reduce(f64::max)?;
    let rounds = comparison.contenders.first()?.rounds.len();
    let title = format!("{}: per second, more is better", comparison.scenario);
    let mut drawing = Drawing::new(TOP + ROW * comparison.contenders.len() as f64, &title);
    drawing.text("title", (0.0, 18.0), &title);
    let said = format!("median of {rounds} rounds in turn; the line spans the slowest and the fastest round");
    drawing.text("small", (0.0, 38.0), &said);
    let across = |value: f64| NAMES + (WIDTH - NAMES - SAID) * value / most;
    for (at, contender) in comparison.contenders.iter().enumerate() {
        let (top, spread) = (TOP + ROW * at as f64, contender.runs_per_s);
        let (middle, baseline) = (top + BAR / 2.0, top + BAR - 5.0);
        drawing.text("end", (NAMES - 10.0, baseline), &contender.name);
        let class = if contender.ours_times.is_some() { "theirs" } else { "ours" };
        drawing.rectangle(class, (NAMES, top), (across(spread.median) - NAMES, BAR));
        drawing.line("spread", (across(spread.min), middle), (across(spread.max), middle));
        let mut said = number(spread.median);
        if let Some(times) = contender.ours_times {
            said.push_str(&format!(" — ours {:.1} × ({:.1} to {:.1})", times.median, times.min, times.max));
        }
        drawing.text("", (across(spread.max) + 10.0, baseline), &said);
    }
    Some(drawing.finish())
}
