//! A run's steps as a picture: a forward lane, and below it, in the order of the plan, the undos, each with an arrow to
//! what it undoes. Pure: steps and times in, rectangles out; positions are per cent of the width, so that nothing has to be scaled.
//!
//! The axis is true to time while something is attempted. Where nothing is, a long wait is cut to a fraction of the
//! width and marked as cut, so that a payment of 200 ms and a refund window of a month fit on one page.

use crate::engine::{RunStep, Time};

use super::{
    axis::{Axis, Break, Span, Tick, round},
    stretches::{Clock, Kind, Stretch},
};

/// Height of a row, in pixels. The labels beside the picture have the same.
pub(super) const ROW: u32 = 26;

/// The least that a bar is wide, in per cent.
const THINNEST: f64 = 0.5;

/// The picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    /// From top to bottom.
    pub(super) rows: Vec<Row>,
    /// Moments on the axis.
    pub(super) ticks: Vec<Tick>,
    /// Waits that are drawn shorter than they were.
    pub(super) breaks: Vec<Break>,
    /// Where now is, while the run has not ended.
    pub(super) now: Option<f64>,
    /// Where the pivot was passed.
    pub(super) pivot: Option<f64>,
    /// From each undo to what it undoes.
    pub(super) arrows: Vec<Arrow>,
    /// In pixels.
    pub(super) height: u32,
    /// Where the undos begin, in pixels.
    pub(super) back_at: Option<u32>,
}

/// A step, or the heading of a lane.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its upper edge, in pixels.
    pub(super) y: u32,
    /// None: the heading of a lane.
    pub(super) seq: Option<u32>,
    /// The step's name.
    pub(super) label: String,
    /// How many attempts there were, if more than one.
    pub(super) tries: Option<u32>,
    /// In the lane of undos.
    pub(super) back: bool,
    /// What is drawn.
    pub(super) bars: Vec<Bar>,
}

impl Row {
    /// Its middle, in pixels.
    pub(super) fn middle(&self) -> u32 {
        self.y + ROW / 2
    }

    /// Upper edge of its bars.
    pub(super) fn bar_y(&self) -> u32 {
        self.y + 6
    }

    /// Where the row's table row is.
    pub(super) fn anchor(&self) -> String {
        format!("s{}{}", self.seq.unwrap_or_default(), if self.back { "u" } else { "f" })
    }
}

/// A stretch of time in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    /// Left edge, in per cent.
    pub(super) x: f64,
    /// In per cent.
    pub(super) width: f64,
    /// What it was.
    pub(super) kind: Kind,
    /// In words.
    pub(super) title: String,
}

impl Bar {
    /// Its class in the style sheet.
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            Kind::Ended(word) => word,
            Kind::Open => "open",
            Kind::Wait => "wait",
            Kind::Future => "future",
            Kind::Pivot => "pivot",
        }
    }
}

/// From an undo to its step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrow {
    /// The undo's left edge, in per cent.
    pub(super) from_x: f64,
    /// The undo's middle, in pixels.
    pub(super) from_y: u32,
    /// The step's right edge, in per cent.
    pub(super) to_x: f64,
    /// The step's middle, in pixels.
    pub(super) to_y: u32,
}

/// Draws a run that was created at `begun`. `ended`: when it ended; none: it is going on, and now is `now`.
pub(super) fn chart(steps: &[RunStep], begun: Time, ended: Option<Time>, now: Time) -> Chart {
    let clock = Clock { begun, now, open: ended.is_none() };
    let forward: Vec<&RunStep> = steps.iter().filter(|step| step.direction != "undo").collect();
    let undos: Vec<&RunStep> = steps.iter().filter(|step| step.direction == "undo").collect();
    let stretches: Vec<(&RunStep, Vec<Stretch>)> =
        forward.iter().chain(&undos).map(|step| (*step, clock.stretches(step, steps))).collect();
    let last = stretches.iter().flat_map(|(_, all)| all.iter().map(|one| one.to)).max().unwrap_or(now);
    let end = last.max(ended.unwrap_or(now)).max(begun + chrono::Duration::milliseconds(1));
    let spans: Vec<Span> = stretches.iter().flat_map(|(_, all)| all.iter().map(Stretch::span)).collect();
    let axis = Axis::of(begun, end, ended.is_none().then_some(now), &spans);
    let mut chart = Chart { ticks: axis.ticks(), breaks: axis.breaks(), ..Chart::default() };
    chart.now = clock.open.then(|| axis.x(now));
    // Where now is written there is no room for another moment.
    chart.ticks.retain(|tick| chart.now.is_none_or(|now| (tick.x - now).abs() > 9.0));
    let mut y = ROW;
    for (step, all) in &stretches {
        let back = step.direction == "undo";
        if back && chart.back_at.is_none() {
            chart.back_at = Some(y);
            chart.rows.push(Row {
                y,
                seq: None,
                label: "Undo, last first".to_owned(),
                tries: None,
                back,
                bars: Vec::new(),
            });
            y += ROW;
        }
        let bars: Vec<Bar> = all.iter().map(|one| bar(&axis, one)).collect();
        if step.kind == "pivot" && step.outcome.is_some() {
            chart.pivot = bars.first().map(|bar| bar.x);
        }
        let tries = Some(step.attempts).filter(|attempts| *attempts > 1);
        chart.rows.push(Row { y, seq: Some(step.seq), label: step.name.clone(), tries, back, bars });
        y += ROW;
    }
    chart.arrows = arrows(&chart.rows);
    chart.height = y;
    chart
}

fn arrows(rows: &[Row]) -> Vec<Arrow> {
    let undone = rows.iter().filter(|row| row.back && row.seq.is_some());
    let arrow = |undo: &Row| {
        let step = rows.iter().find(|row| !row.back && row.seq == undo.seq)?;
        let (from, to) = (undo.bars.last()?, step.bars.last()?);
        let (from_x, from_y) = (from.x, undo.middle());
        Some(Arrow { from_x, from_y, to_x: (to.x + to.width).min(from_x), to_y: step.middle() })
    };
    undone.filter_map(arrow).collect()
}

fn bar(axis: &Axis, one: &Stretch) -> Bar {
    let x = axis.x(one.from);
    let width = round((axis.x(one.to) - x).max(THINNEST));
    let x = round(x.min(100.0 - width));
    Bar { x, width, kind: one.kind, title: one.title.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_timestamp_millis(1_700_000_000_000 + ms).expect("a time")
    }

    fn step(seq: u32, direction: &str, from: i64, to: Option<i64>) -> RunStep {
        RunStep {
            seq,
            name: format!("s{seq}"),
            kind: "activity".parse().expect("a kind"),
            activity: None,
            direction: direction.parse().expect("a direction"),
            outcome: to.map(|_| "ok".parse().expect("an outcome")),
            attempts: 1,
            idempotency_key: None,
            input: None,
            output: None,
            error: None,
            attempt_log: Vec::new(),
            started_at: Some(at(from)),
            finished_at: to.map(at),
            next_attempt_at: None,
            due_at: None,
            undo_after: Vec::new(),
            worker: None,
        }
    }

    fn bars(chart: &Chart, seq: u32, back: bool) -> Vec<Bar> {
        let row = chart.rows.iter().find(|row| row.seq == Some(seq) && row.back == back).expect("a row");
        row.bars.clone()
    }

    #[test]
    fn attempts_are_drawn_true_to_time() {
        let steps = [step(0, "forward", 0, Some(250)), step(1, "forward", 250, Some(1000))];
        let chart = chart(&steps, at(0), Some(at(1000)), at(5000));
        let (first, second) = (&bars(&chart, 0, false)[0], &bars(&chart, 1, false)[0]);
        assert_eq!((first.x, first.width, second.x, second.width), (0.0, 25.0, 25.0, 75.0));
        assert!(chart.breaks.is_empty() && chart.now.is_none());
    }

    #[test]
    fn a_long_wait_is_drawn_shorter() {
        let month = 30 * 86_400_000;
        let mut wait = step(1, "forward", 200, Some(month));
        wait.kind = "signal".parse().expect("a kind");
        wait.started_at = None;
        let steps = [step(0, "forward", 0, Some(200)), wait, step(2, "forward", month, Some(month + 200))];
        let chart = chart(&steps, at(0), Some(at(month + 200)), at(month * 2));
        assert!(bars(&chart, 0, false)[0].width > 30.0 && bars(&chart, 2, false)[0].width > 30.0);
        assert_eq!(chart.breaks.len(), 1);
        assert_eq!(bars(&chart, 1, false)[0].kind, Kind::Wait);
    }

    #[test]
    fn undos_are_below_and_point_to_their_steps() {
        let steps = [
            step(0, "forward", 0, Some(100)),
            step(1, "forward", 100, Some(200)),
            step(1, "undo", 300, Some(400)),
            step(0, "undo", 400, Some(500)),
        ];
        let chart = chart(&steps, at(0), Some(at(500)), at(900));
        assert_eq!(chart.back_at, Some(3 * ROW));
        let order: Vec<(Option<u32>, bool)> = chart.rows.iter().map(|row| (row.seq, row.back)).collect();
        assert_eq!(order, [(Some(0), false), (Some(1), false), (None, true), (Some(1), true), (Some(0), true)]);
        let last = chart.arrows.last().expect("an arrow");
        assert_eq!((last.from_y, last.to_y), (5 * ROW + ROW / 2, ROW + ROW / 2));
        assert!(chart.arrows.iter().all(|arrow| arrow.to_x <= arrow.from_x), "an undo comes after what it undoes");
    }

    #[test]
    fn waits_between_attempts_are_drawn_around_now() {
        let mut failing = step(1, "forward", 900, None);
        failing.attempts = 3;
        failing.next_attempt_at = Some(at(2000));
        let steps = [step(0, "forward", 0, Some(100)), failing];
        let chart = chart(&steps, at(0), None, at(1000));
        let kinds: Vec<Kind> = bars(&chart, 1, false).iter().map(|bar| bar.kind).collect();
        assert_eq!(kinds, [Kind::Wait, Kind::Ended("failed"), Kind::Wait, Kind::Future]);
        let now = chart.now.expect("it has not ended");
        assert!(now > 0.0 && now < 100.0);
    }

    #[test]
    fn nothing_leaves_the_picture() {
        let steps = [step(0, "forward", -500, Some(-400)), step(1, "forward", 10, None)];
        let chart = chart(&steps, at(0), None, at(20));
        let all = chart.rows.iter().flat_map(|row| &row.bars);
        for bar in all {
            assert!(bar.x >= 0.0 && bar.width > 0.0 && bar.x + bar.width <= 100.01, "{bar:?}");
        }
    }

    #[test]
    fn a_run_without_steps_has_an_empty_picture() {
        let chart = chart(&[], at(0), None, at(10));
        assert!(chart.rows.is_empty() && chart.arrows.is_empty());
    }
}
