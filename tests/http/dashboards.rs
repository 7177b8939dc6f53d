//! The Grafana dashboard and the alerts ask for nothing that a server does not show.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Server;

const DASHBOARD: &str = include_str!("../../deploy/grafana/backstitch.json");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");
const WATCHING: &str = include_str!("../../docs/watching.md");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

/// The metrics that a text of PromQL names.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character| !is_part(character))
        .filter(|word| word.starts_with("backstitch_"))
        .map(|word| {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
            stem.unwrap_or(word).to_owned()
        })
        .collect()
}

/// All values of a key, wherever it stands.
fn values_of<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|value| values_of(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| values_of(value, key, found)),
        _ => {}
    }
}

/// Ours, of what a server shows.
fn shown(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()?.strip_prefix("backstitch_"))
}

#[tokio::test]
async fn every_metric_is_documented() {
    let server = Server::working().await;
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    let text = server.request(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a text");
    let explained = |name: &&str| WATCHING.contains(&format!("`{name}`")) || WATCHING.contains(&format!("`{name}{{"));
    assert!(shown(&text).any(|name| name == "tasks_died_total"), "{text}");
    let missing: Vec<&str> = shown(&text).filter(|name| !explained(name)).collect();
    assert!(missing.is_empty(), "docs/watching.md explains every metric, and lacks {missing:?}");
}

#[tokio::test]
async fn every_metric_of_dashboards_and_alerts_exists() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let mut expressions = Vec::new();
    values_of(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() > 25, "{expressions:?}");
    let mut queried: BTreeSet<String> = expressions.iter().flat_map(|expression| names(expression)).collect();
    queried.extend(names(ALERTS));
    assert!(queried.len() > 20, "{queried:?}");

    let server = Server::working().await;
    let run = server.started("echo", json!({"text": "a"})).await;
    server.until(&run, "completed").await;
    let scraped = server.request(Method::GET, "/metrics").send().await.expect("an answer");
    let text = scraped.text().await.expect("a text");
    let shown: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect();
    let is_histogram = |name: &str| text.lines().any(|line| line == format!("# TYPE {name} histogram"));
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    for expression in &expressions {
        for (at, _) in expression.match_indices("_bucket") {
            let name = expression[..at].rsplit(|character| !is_part(character)).next().unwrap_or_default();
            assert!(is_histogram(name), "{name} is read by buckets, and is no histogram");
        }
    }
    let missing: Vec<_> = queried.difference(&shown).collect();
    assert!(missing.is_empty(), "nobody shows {missing:?}; shown are {shown:?}");
}

#[test]
fn every_alert_names_its_meaning_and_runbook() {
    let alerts: Vec<&str> = ALERTS.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10);
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        for key in ["summary: ", "description: ", "runbook_url: ", "severity: "] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
        let anchor = alert.split("docs/runbook.md#").nth(1).and_then(|rest| rest.split('"').next());
        let anchor = anchor.unwrap_or_else(|| panic!("{name} has no runbook"));
        let heading = |line: &str| {
            let words = line.strip_prefix("### ")?.to_lowercase().replace(": ", "-").replace(' ', "-");
            Some(words)
        };
        assert!(RUNBOOK.lines().filter_map(heading).any(|found| found == anchor), "{name}: no section {anchor}");
    }
}
