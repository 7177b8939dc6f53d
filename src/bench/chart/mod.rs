//! Figures as a drawing: a comparison as bars, a soak as lines over time. SVG for light pages and dark ones.

mod bars;
mod lines;
mod svg;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use super::{compare::Comparison, soak::Soaked};

/// Draws what `bench compare -o json` or `bench --scenario soak -o json` has printed.
///
/// # Errors
/// When the text is something else.
pub fn draw(printed: &str) -> anyhow::Result<String> {
    let figures: Value = serde_json::from_str(printed).context("it is no JSON")?;
    if figures.get("contenders").is_some() {
        let comparison = Comparison::deserialize(figures).context("it is no comparison")?;
        return bars::draw(&comparison).context("there is nothing to compare");
    }
    let mut scenarios = figures.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let soak = scenarios.find(|figures| figures.get("samples").is_some());
    let soak = soak.context("it has neither a comparison nor the samples of a soak")?;
    let soak = Soaked::deserialize(soak).context("it is no soak")?;
    lines::draw(&soak).context("the soak has no two samples")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Comparison, draw};

    fn comparison() -> String {
        let others = vec![("<b> & \"co\"".to_owned(), vec![50.0, 40.0])];
        let comparison = Comparison::new("orders", vec![100.0, 120.0], others, Map::new()).expect("two rounds");
        serde_json::to_string(&comparison).expect("it is JSON")
    }

    fn soak(seconds: &[f64]) -> String {
        let sample = |second: &f64| {
            let (runs, snapshot) = ((second * 2_000.0) as u64, *second == 2.0);
            json!({"second": second, "started": runs, "open_runs": 0, "dead_rows": 5_000_000, "index_mb": 12.5,
                "rss_mb": 80.0, "snapshot": snapshot})
        };
        let samples: Vec<Value> = seconds.iter().map(sample).collect();
        json!([{"scenario": "soak", "plain_of_start": 0.98, "samples": samples}]).to_string()
    }

    /// Beginnings and ends of elements in turn, as an XML reader would see them.
    fn assert_balanced(drawn: &str) {
        let mut open = Vec::new();
        for tag in drawn.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("each tag ends");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{drawn}"),
                None if tag.ends_with('/') => {}
                None => open.extend(tag.split_whitespace().next()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn a_comparison_becomes_a_bar_each() {
        let drawn = draw(&comparison()).expect("it can be drawn");
        assert_balanced(&drawn);
        assert_eq!(drawn.matches("class=\"ours\"").count() + drawn.matches("class=\"theirs\"").count(), 2, "{drawn}");
        for text in ["backstitch", "&lt;b&gt; &amp; &quot;co&quot;", "110", "2.5 ×", "prefers-color-scheme: dark"] {
            assert!(drawn.contains(text), "{text}: {drawn}");
        }
    }

    #[test]
    fn a_soak_becomes_a_panel_for_each_figure() {
        let drawn = draw(&soak(&[0.0, 1.0, 2.0, 3.0])).expect("it can be drawn");
        assert_balanced(&drawn);
        assert_eq!(drawn.matches("<polyline").count(), 4, "{drawn}");
        assert_eq!(drawn.matches("class=\"held\"").count(), 4, "the snapshot is shown in each: {drawn}");
        for text in ["runs a second", "dead rows", "index", "memory", "2,000", "5,000,000"] {
            assert!(drawn.contains(text), "{text}: {drawn}");
        }
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let refusal = |text: &str| draw(text).expect_err("there is nothing to draw").to_string();
        assert_eq!(refusal("fast"), "it is no JSON");
        assert_eq!(refusal("[{\"scenario\": \"plain\"}]"), "it has neither a comparison nor the samples of a soak");
        assert_eq!(refusal("{\"contenders\": 1}"), "it is no comparison");
        assert_eq!(
            refusal("{\"scenario\": \"orders\", \"contenders\": [], \"postgres\": {}}"),
            "there is nothing to compare"
        );
        assert_eq!(refusal(&soak(&[1.0])), "the soak has no two samples");
    }
}
