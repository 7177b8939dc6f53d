//! What `bench` reports: the figures that others compare, of loads that the database confirms.

use serde_json::Value;

use crate::support::{TestDatabase, process};

/// Of every scenario.
const FIGURES: [&str; 9] = [
    "seconds",
    "runs_per_s",
    "steps_per_s",
    "latency_ms_p50",
    "latency_ms_p99",
    "wal_bytes_per_run",
    "commits_per_run",
    "statements_per_run",
    "rss_mb",
];

async fn bench(args: &[&str]) -> Value {
    let database = TestDatabase::unmigrated().await;
    let printed = process::run(database.url(), &[&["bench", "-o", "json"], args].concat()).await;
    serde_json::from_str(&printed).expect("JSON alone")
}

fn all_are_there(figures: &Value, names: &[&str]) {
    for name in names {
        assert!(figures[*name].as_f64().is_some_and(|value| value > 0.0), "{name}: {figures}");
    }
}

#[tokio::test]
async fn scenarios_report_the_figures_that_are_promised() {
    let names = "plain,saga,compensate,transactional,park";
    let all = bench(&["--scenario", names, "--runs", "50"]).await;
    let all = all.as_array().expect("one object for each");
    let reported: Vec<&str> = all.iter().filter_map(|figures| figures["scenario"].as_str()).collect();
    assert_eq!(reported.join(","), names);
    for figures in all {
        assert_eq!(figures["runs"], 50);
        all_are_there(figures, &FIGURES);
    }
    // Clock, parks, signals and wake-ups are shared like steps: one by one they cost more than five.
    let park = all.last().expect("it is there");
    assert!(park["statements_per_run"].as_f64().is_some_and(|statements| statements < 4.0), "{park}");
}

#[tokio::test]
async fn the_standard_load_and_the_floor_are_objects() {
    let standard = bench(&["--runs", "50"]).await;
    all_are_there(&standard, &["runs_per_s", "steps_per_s", "latency_ms_p50", "db_bytes_per_run"]);
    assert_eq!(standard["postgres"]["wal_level"].as_str().map(str::is_empty), Some(false), "{standard}");
    all_are_there(&bench(&["--floor", "--seconds", "1"]).await, &["commits_per_s", "rows_per_s", "fsync_per_s"]);
}
