//! A soak: a panel for each figure over the same time, with a shade where the snapshot was held.

use super::{
    super::soak::{Sample, Soaked},
    svg::{Drawing, WIDTH, end_of_axis, number},
};

const TOP: f64 = 74.0;
const PANEL: f64 = 120.0;
const PLOT: f64 = 78.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 10.0;

/// A figure over time.
struct Panel {
    name: &'static str,
    /// Second and value.
    points: Vec<(f64, f64)>,
}

/// Draws it; none where there is no span of time.
pub(super) fn draw(soak: &Soaked) -> Option<String> {
    let (first, last) = (soak.samples.first()?, soak.samples.last()?);
    let span = last.second - first.second;
    if span <= 0.0 {
        return None;
    }
    let panels = panels(&soak.samples);
    let title = format!("soak: {} seconds of runs at a steady pace", number(span));
    let mut drawing = Drawing::new(TOP + PANEL * panels.len() as f64, &title);
    drawing.text("title", (0.0, 18.0), &title);
    let said =
        format!("shaded: a snapshot is held open; at full speed afterwards {:.2} × a new schema", soak.plain_of_start);
    drawing.text("small", (0.0, 38.0), &said);
    let across = |second: f64| LEFT + (WIDTH - LEFT - RIGHT) * (second - first.second) / span;
    let held = held(&soak.samples);
    for (at, panel) in panels.iter().enumerate() {
        let top = TOP + PANEL * at as f64;
        let end = end_of_axis(panel.points.iter().map(|(_, value)| *value).fold(0.0, f64::max));
        let up = |value: f64| top + PLOT * (1.0 - value / end);
        drawing.text("", (LEFT, top - 8.0), panel.name);
        if let Some((from, until)) = held {
            drawing.rectangle("held", (across(from), top), (across(until) - across(from), PLOT));
        }
        for value in [0.0, end / 2.0, end] {
            drawing.line("grid", (LEFT, up(value)), (WIDTH - RIGHT, up(value)));
            drawing.text("small end", (LEFT - 8.0, up(value) + 4.0), &number(value));
        }
        let points: Vec<(f64, f64)> =
            panel.points.iter().map(|(second, value)| (across(*second), up(*value))).collect();
        drawing.polyline("line", &points);
        drawing.text("small", (LEFT, top + PLOT + 14.0), "0 s");
        drawing.text("small end", (WIDTH - RIGHT, top + PLOT + 14.0), &format!("{} s", number(span)));
    }
    Some(drawing.finish())
}

fn panels(samples: &[Sample]) -> Vec<Panel> {
    let over_time = |name, value: fn(&Sample) -> f64| {
        let points = samples.iter().map(|sample| (sample.second, value(sample))).collect();
        Panel { name, points }
    };
    let ended = |sample: &Sample| sample.started as f64 - sample.open_runs as f64;
    let pairs = samples.iter().zip(samples.iter().skip(1));
    let rate = pairs.filter(|(earlier, later)| later.second > earlier.second).map(|(earlier, later)| {
        let rate = (ended(later) - ended(earlier)) / (later.second - earlier.second);
        (later.second, rate.max(0.0))
    });
    vec![
        Panel { name: "runs a second that ended", points: rate.collect() },
        over_time("dead rows", |sample| sample.dead_rows as f64),
        over_time("index size, MB", |sample| sample.index_mb),
        over_time("memory of the engine, MB", |sample| sample.rss_mb),
    ]
}

/// From when until when the snapshot was held.
fn held(samples: &[Sample]) -> Option<(f64, f64)> {
    let mut held = samples.iter().filter(|sample| sample.snapshot).map(|sample| sample.second);
    let from = held.next()?;
    let last = held.next_back().unwrap_or(from);
    let after = samples.iter().map(|sample| sample.second).find(|second| *second > last);
    Some((from, after.unwrap_or(last)))
}
