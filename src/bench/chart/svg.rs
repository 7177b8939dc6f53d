//! The drawing itself: elements of SVG, escaped texts, colours for light and dark.

use std::fmt::Write;

/// Width of every drawing; as wide as a page's column, so that its texts keep their size.
pub(super) const WIDTH: f64 = 760.0;

/// Texts and lines follow the reader's scheme; the ground is the page's own.
const STYLE: &str = "
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .small { font-size: 11px; fill: #59636e }
    .end { text-anchor: end }
    .middle { text-anchor: middle }
    .ours, .line { fill: #0969da }
    .theirs { fill: #8c959f }
    .line { fill: none; stroke: #0969da; stroke-width: 1.5; stroke-linejoin: round }
    .spread { stroke: #1f2328; stroke-width: 1.5 }
    .grid { stroke: #d1d9e0; stroke-width: 1 }
    .held { fill: #bf8700; fill-opacity: 0.15 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .ours { fill: #4493f8 }
      .theirs { fill: #656c76 }
      .line { stroke: #4493f8 }
      .spread { stroke: #e6edf3 }
      .grid { stroke: #3d444d }
      .held { fill: #d29922; fill-opacity: 0.2 }
    }
  ";

/// A drawing that grows.
pub(super) struct Drawing(String);

impl Drawing {
    /// An empty one; `title` is what it is called where it can't be seen.
    pub(super) fn new(height: f64, title: &str) -> Self {
        let title = escaped(title);
        let size = format!("viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\"");
        let head = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size} role=\"img\">");
        Self(format!("{head}\n  <title>{title}</title>\n  <style>{STYLE}</style>"))
    }

    /// A text at its baseline.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.push(&format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text)));
    }

    /// A rectangle, by its upper left corner.
    pub(super) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let size = format!("width=\"{width:.1}\" height=\"{height:.1}\"");
        self.push(&format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" {size} />"));
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(&format!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" />"));
    }

    /// A line through points.
    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.push(&format!("<polyline class=\"{class}\" points=\"{}\" />", points.join(" ")));
    }

    fn push(&mut self, element: &str) {
        // Writing into a string can't fail.
        let _ = write!(self.0, "\n  {element}");
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        self.0 + "\n</svg>"
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number for people: thousands with commas, small ones with the digits that say something.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("-{text}") } else { text }
}

/// The end of an axis from 0 that has this value on it: 1, 2 or 5 and zeros.
pub(super) fn end_of_axis(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|end| most <= *end).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::{end_of_axis, number};

    #[test]
    fn numbers_are_written_for_people() {
        let written = [0.0, 0.25, 7.0, 9.96, 12.4, 999.6, 12_345.0, 1_234_567.0, -1_500.0].map(number);
        assert_eq!(written.join(" "), "0 0.2 7 10.0 12 1,000 12,345 1,234,567 -1,500");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.3, 1.0, 1.1, 4.9, 5.1, 1_900.0].map(end_of_axis), [1.0, 0.5, 1.0, 2.0, 5.0, 10.0, 2_000.0]);
    }
}
