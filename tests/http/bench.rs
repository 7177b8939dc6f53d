//! What `bench` reports: the figures that others compare, of loads that the database confirms.

use std::process::Stdio;

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

#[tokio::test]
async fn ours_and_others_are_compared_in_turn_and_drawn() {
    let database = TestDatabase::unmigrated().await;
    // Ours once more, as a program that knows only what it is given.
    let same = r#"same="$BACKSTITCH" bench --scenario plain --runs "$RUNS" -o json"#;
    let args = [
        "bench",
        "compare",
        "--runs",
        "50",
        "--rounds",
        "2",
        "--with",
        same,
        "--with",
        "snail=echo '{\"runs_per_s\": 2}'",
    ];
    let printed = process::run(database.url(), &[&args[..], &["-o", "json"]].concat()).await;
    let comparison: Value = serde_json::from_str(&printed).expect("JSON alone");
    let contenders = comparison["contenders"].as_array().expect("all of them");
    let names: Vec<&str> = contenders.iter().filter_map(|contender| contender["name"].as_str()).collect();
    assert_eq!(names, ["backstitch", "same", "snail"]);
    for contender in contenders {
        assert_eq!(contender["rounds"].as_array().map(Vec::len), Some(2), "{contender}");
        all_are_there(&contender["runs_per_s"], &["median", "min", "max"]);
    }
    let times = |contender: &Value| contender["ours_times"]["min"].as_f64();
    assert_eq!(times(&contenders[0]), None, "ours is not compared with itself");
    assert!(times(&contenders[2]).is_some_and(|times| times > 1.0), "{comparison}");

    let file = std::env::temp_dir().join(format!("backstitch-compared-{}.json", std::process::id()));
    std::fs::write(&file, &printed).expect("it can be written");
    let drawn = process::run(database.url(), &["bench", "chart", &file.to_string_lossy()]).await;
    std::fs::remove_file(&file).expect("it is there");
    assert!(drawn.starts_with("<svg") && drawn.contains("snail"), "{drawn}");
}

#[tokio::test]
async fn a_comparison_says_which_program_failed_and_cleans_up() {
    let database = TestDatabase::unmigrated().await;
    let compare = async |rival: &str| {
        let args = ["bench", "compare", "--runs", "20", "--rounds", "1", "--limit", "1s", "--with", rival];
        let mut comparing = process::backstitch(database.url());
        let comparing = comparing.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let databases = format!("bench_{}_%", comparing.id().expect("it is running"));
        let output = comparing.wait_with_output().await.expect("it ends");
        assert!(!output.status.success(), "{rival}");
        let left = "SELECT count(*) FROM pg_database WHERE datname LIKE $1";
        let left: i64 = sqlx::query_scalar(left).bind(databases).fetch_one(database.pool()).await.expect("it answers");
        assert_eq!(left, 0, "{rival}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = compare("other=echo first; echo broken >&2; exit 3").await;
    assert!(said.contains("other, round 1: it failed with exit status: 3: broken"), "{said}");
    let said = compare("other=echo very fast").await;
    assert!(said.contains("other, round 1: it printed no JSON"), "{said}");
    let said = compare("other=sleep 60").await;
    assert!(said.contains("other, round 1: it has not ended after 1s"), "{said}");
}
