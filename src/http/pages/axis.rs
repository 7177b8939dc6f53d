//! The axis of a run's picture: moments to per cent of the width. True to time while something is attempted; where nothing is,
//! a long wait is cut to a share of what the attempts take together. Pure.

use super::format::span;
use crate::engine::Time;

/// The widest that a wait may be, as a share of what the attempts take together.
const WIDEST_WAIT: f64 = 0.14;

/// A moment on the axis.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    /// In per cent.
    pub(super) x: f64,
    /// How long after the start.
    pub(super) label: String,
    /// How its text is aligned to it.
    pub(super) anchor: &'static str,
}

/// A wait that is drawn shorter than it was.
#[derive(Clone, Debug)]
pub(super) struct Break {
    /// Left edge, in per cent.
    pub(super) x: f64,
    /// In per cent.
    pub(super) width: f64,
    /// How long it was.
    pub(super) label: String,
}

/// A stretch of time in which a step was attempted, or waited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Time,
    pub(super) to: Time,
    /// Something was attempted.
    pub(super) works: bool,
}

/// Time to per cent: straight lines between knots, and a wait between two knots may be cut.
pub(super) struct Axis {
    knots: Vec<Knot>,
    width: f64,
}

struct Knot {
    from: Time,
    to: Time,
    /// Where it begins and how wide it is, in milliseconds of busy time.
    at: f64,
    wide: f64,
}

impl Axis {
    /// The axis of a run that began and ended (or ends) at these moments.
    pub(super) fn of(begun: Time, end: Time, now: Option<Time>, all: &[Span]) -> Self {
        let mut marks: Vec<Time> =
            all.iter().flat_map(|one| [one.from, one.to]).chain([begun, end]).chain(now).collect();
        marks.retain(|at| (begun..=end).contains(at));
        marks.sort_unstable();
        marks.dedup();
        let worked = |from: Time, to: Time| all.iter().any(|one| one.works && one.from < to && one.to > from);
        let parts: Vec<(Time, Time, f64, bool)> =
            marks.windows(2).map(|pair| (pair[0], pair[1], ms(pair[0], pair[1]), worked(pair[0], pair[1]))).collect();
        let busy: f64 = parts.iter().filter(|part| part.3).map(|part| part.2).sum();
        let most = if busy > 0.0 { busy.max(1.0) * WIDEST_WAIT } else { f64::INFINITY };
        let (mut knots, mut at) = (Vec::new(), 0.0);
        for (from, to, long, works) in parts {
            let wide = if works { long } else { long.min(most) };
            knots.push(Knot { from, to, at, wide });
            at += wide;
        }
        Self { knots, width: at.max(f64::MIN_POSITIVE) }
    }

    /// Per cent of the width.
    pub(super) fn x(&self, at: Time) -> f64 {
        let Some(knot) = self.knots.iter().find(|knot| at <= knot.to).or(self.knots.last()) else { return 0.0 };
        let share = (ms(knot.from, at) / ms(knot.from, knot.to).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        round((knot.at + share * knot.wide) / self.width * 100.0)
    }

    /// Five moments, evenly over the width.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let Some(begun) = self.knots.first().map(|knot| knot.from) else { return Vec::new() };
        let tick = |quarter: u32| {
            let wanted = self.width * f64::from(quarter) / 4.0;
            let knot = self.knots.iter().find(|knot| wanted <= knot.at + knot.wide).or(self.knots.last())?;
            let share = if knot.wide > 0.0 { (wanted - knot.at) / knot.wide } else { 0.0 };
            let elapsed = ms(begun, knot.from) + share.clamp(0.0, 1.0) * ms(knot.from, knot.to);
            #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a run fit")]
            let label = if quarter == 0 { "0".to_owned() } else { format!("+{}", span(elapsed as i64)) };
            let anchor = if quarter == 0 {
                "start"
            } else if quarter == 4 {
                "end"
            } else {
                "middle"
            };
            Some(Tick { x: f64::from(quarter) * 25.0, label, anchor })
        };
        (0..=4).filter_map(tick).collect()
    }

    /// The waits that were cut.
    pub(super) fn breaks(&self) -> Vec<Break> {
        let cut = self.knots.iter().filter(|knot| knot.wide < ms(knot.from, knot.to) * 0.99);
        let drawn = cut.map(|knot| Break {
            x: round(knot.at / self.width * 100.0),
            width: round(knot.wide / self.width * 100.0),
            label: length(knot.from, knot.to),
        });
        drawn.collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a picture's precision")]
fn ms(from: Time, to: Time) -> f64 {
    (to - from).num_microseconds().unwrap_or(i64::MAX) as f64 / 1000.0
}

/// Two digits are enough for a picture.
pub(super) fn round(per_cent: f64) -> f64 {
    (per_cent * 100.0).round() / 100.0
}

/// How long, in words.
pub(super) fn length(from: Time, to: Time) -> String {
    span((to - from).num_milliseconds().max(0))
}
