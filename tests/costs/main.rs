//! What a run costs may not grow unnoticed: `bench` at a small size, and counts that hardly depend on the machine, beside
//! the bounds below. Seconds are for docs/benchmarks.md.
//!
//! To set a bound: `cargo test --test costs -- --nocapture` prints what was found. Run it a few times, alone and beside a
//! build; take the highest value and add 10 to 15 %. Rows, log and HOT updates hardly differ (a run of `park` may get its signal before it parks for it). Statements and
//! commits are shared by the runs of a flush, and how many share one depends on the machine's load: their bounds are wider,
//! and notice a statement or commit that each run makes for itself, or a flush of several statements.

use std::process::Command;

use serde_json::Value;

/// Runs or orders of each scenario.
const RUNS: u32 = 400;

/// What a run costs, or may cost at most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Costs {
    /// As `bench --scenario` calls it.
    scenario: &'static str,
    /// Of this process, `BEGIN` and `COMMIT` included, without those that come by time; each is a round trip.
    statements: f64,
    /// As the server counts them, those that come by time included.
    commits: f64,
    /// Versions of rows written or deleted.
    rows: f64,
    /// Bytes of write-ahead log.
    log: f64,
    /// Pages that were looked at: more of them, where a table is read in place of a few rows.
    pages: f64,
    /// Updates that touched no index, of all: may not fall below.
    hot: f64,
}

const BOUNDS: [Costs; 6] = [
    Costs { scenario: "plain", statements: 0.2, commits: 0.5, rows: 11.0, log: 3_600.0, pages: 70.0, hot: 0.45 },
    Costs { scenario: "saga", statements: 0.2, commits: 0.5, rows: 16.5, log: 5_200.0, pages: 130.0, hot: 0.17 },
    Costs { scenario: "compensate", statements: 0.2, commits: 0.7, rows: 33.0, log: 10_000.0, pages: 270.0, hot: 0.26 },
    Costs {
        scenario: "transactional",
        statements: 1.0,
        commits: 1.0,
        rows: 16.5,
        log: 5_200.0,
        pages: 150.0,
        hot: 0.45,
    },
    Costs { scenario: "park", statements: 0.3, commits: 0.7, rows: 26.0, log: 7_200.0, pages: 215.0, hot: 0.27 },
    Costs { scenario: "orders", statements: 8.0, commits: 4.5, rows: 37.5, log: 14_000.0, pages: 430.0, hot: 0.53 },
];

/// The load's own looks at whether runs are open, and how many; its connection is looked at when it comes back.
const LOOKS: [&str; 2] = ["SELECT EXISTS (SELECT FROM", "SELECT count(*) FROM backstitch.ready"];

/// What workers do by time, by the first words.
const BY_TIME: [&str; 4] =
    ["-- Makes parked runs", "-- Declares lanes", "SELECT backstitch.now()", "SELECT run_id, seq, due_at"];

/// Each on a database of its own, on a server of its own: what other tests do would be counted, too.
fn measure() -> Vec<Costs> {
    let scenarios = BOUNDS.map(|bound| bound.scenario).join(",");
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    command.args(["bench", "--scenario", &scenarios, "--runs", &RUNS.to_string(), "-o", "json"]);
    let output = command.env_remove("DATABASE_URL").output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array of figures");
    let scenarios = BOUNDS.iter().map(|bound| bound.scenario);
    scenarios.zip(&figures).map(|(scenario, figures)| read(scenario, figures)).collect()
}

fn read(scenario: &'static str, figures: &Value) -> Costs {
    assert_eq!(figures["scenario"], scenario);
    let number = |value: &Value| value.as_f64().expect("a number");
    let mut statements = number(&figures["statements_per_run"]);
    for (text, count) in figures["statements"].as_object().expect("counts by their first words") {
        if LOOKS.iter().any(|words| text.starts_with(words)) {
            statements -= 2.0 * number(count);
        } else if BY_TIME.iter().any(|words| text.starts_with(words)) {
            statements -= number(count);
        }
    }
    Costs {
        scenario,
        statements,
        commits: number(&figures["commits_per_run"]),
        rows: number(&figures["rows_per_run"]),
        log: number(&figures["wal_bytes_per_run"]),
        pages: number(&figures["pages_per_run"]),
        hot: number(&figures["hot_share"]),
    }
}

/// In which respects a run costs more than it may.
fn dearer(found: &Costs, bound: &Costs) -> Vec<String> {
    let costs = [
        ("statements", found.statements, bound.statements),
        ("commits", found.commits, bound.commits),
        ("rows", found.rows, bound.rows),
        ("log", found.log, bound.log),
        ("pages", found.pages, bound.pages),
    ];
    let grown = costs.into_iter().filter(|(_, found, bound)| found > bound);
    let grown = grown.map(|(name, found, bound)| format!("{name} {found:.3}, at most {bound}"));
    let mut dearer: Vec<String> = grown.collect();
    if found.hot < bound.hot {
        dearer.push(format!("hot {:.3}, at least {}", found.hot, bound.hot));
    }
    dearer
}

#[test]
fn no_scenario_costs_more_than_its_bound() {
    let found = measure();
    for costs in &found {
        eprintln!("{costs:.3?}");
    }
    let dearer: Vec<_> =
        found.iter().zip(&BOUNDS).map(|(found, bound)| (found.scenario, dearer(found, bound))).collect();
    assert!(dearer.iter().all(|(_, dearer)| dearer.is_empty()), "dearer than allowed: {dearer:#?}");
    assert_eq!(found.len(), BOUNDS.len());
}

#[test]
fn each_cost_that_grows_is_named() {
    let bound =
        Costs { scenario: "plain", statements: 0.1, commits: 0.5, rows: 11.0, log: 3_600.0, pages: 70.0, hot: 0.45 };
    assert_eq!(dearer(&bound, &bound), Vec::<String>::new());
    let grown =
        Costs { scenario: "plain", statements: 1.1, commits: 1.5, rows: 12.0, log: 3_700.0, pages: 71.0, hot: 0.4 };
    assert_eq!(
        dearer(&grown, &bound),
        [
            "statements 1.100, at most 0.1",
            "commits 1.500, at most 0.5",
            "rows 12.000, at most 11",
            "log 3700.000, at most 3600",
            "pages 71.000, at most 70",
            "hot 0.400, at least 0.45"
        ]
    );
}
