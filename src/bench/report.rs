//! The figures of a load.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::measure::{self, Counters};

/// What the standard load came to. Its JSON form is what `backstitch bench -o json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Runs in all.
    pub runs: usize,
    /// From the first start to the last end.
    pub seconds: f64,
    /// Runs a second.
    pub runs_per_s: f64,
    /// Steps a second.
    pub steps_per_s: f64,
    /// Start to result of a run on the idle engine, the median.
    pub latency_ms_p50: f64,
    /// The same, of the slowest but one in a hundred.
    pub latency_ms_p99: f64,
    /// Write-ahead log, per run.
    pub wal_bytes_per_run: i64,
    /// Commits in the database, per run.
    pub commits_per_run: f64,
    /// Growth of the database, per run.
    pub db_bytes_per_run: i64,
    /// The largest resident size of this process so far.
    pub rss_mb: f64,
    /// The settings of Postgres that matter here.
    pub postgres: Map<String, Value>,
}

/// What a scenario came to.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Which one.
    pub scenario: &'static str,
    /// Runs, or orders.
    pub runs: usize,
    /// From the first start to the last end.
    pub seconds: f64,
    /// Runs a second.
    pub runs_per_s: f64,
    /// Start to end of a run, the median: one at a time on the idle engine, or under the load where that is the scenario.
    pub latency_ms_p50: f64,
    /// The same, of the slowest but one in a hundred.
    pub latency_ms_p99: f64,
    /// Write-ahead log, per run.
    pub wal_bytes_per_run: i64,
    /// Commits in the database, per run.
    pub commits_per_run: f64,
    /// Statements of this process, `BEGIN` and `COMMIT` included, per run; each is a round trip. None: it did not count.
    pub statements_per_run: Option<f64>,
    /// Versions of rows written or deleted, per run.
    pub rows_per_run: f64,
    /// Updates that touched no index, of all.
    pub hot_share: f64,
    /// Pages that Postgres looked at, per run, wherever it found them.
    pub pages_per_run: f64,
    /// Growth of the database, per run.
    pub db_bytes_per_run: i64,
    /// Deadlocks that Postgres broke.
    pub deadlocks: i64,
    /// The largest resident size of this process meanwhile.
    pub rss_mb: f64,
    /// What only this scenario has.
    #[serde(flatten)]
    pub more: Map<String, Value>,
    /// Statements per run by their first words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub statements: BTreeMap<String, f64>,
}

impl Figures {
    /// Of `runs` runs between two looks at the counters.
    pub(super) fn new(scenario: &'static str, runs: usize, seconds: f64, before: &Counters, after: &Counters) -> Self {
        let per_run = |count: i64| count as f64 / runs.max(1) as f64;
        let updates = after.updates - before.updates;
        let statements: BTreeMap<String, f64> = match (&before.statements, &after.statements) {
            (Some(before), Some(after)) => {
                let spent = |(text, now): (&String, &u64)| (text.clone(), now - before.get(text).unwrap_or(&0));
                let spent = after.iter().map(spent).filter(|(_, count)| *count > 0);
                spent.map(|(text, count)| (text, per_run(count as i64))).collect()
            }
            _ => BTreeMap::new(),
        };
        Self {
            scenario,
            runs,
            seconds,
            runs_per_s: runs as f64 / seconds,
            latency_ms_p50: 0.0,
            latency_ms_p99: 0.0,
            wal_bytes_per_run: per_run(after.wal - before.wal) as i64,
            commits_per_run: per_run(after.commits - before.commits),
            statements_per_run: after.statements.is_some().then(|| statements.values().sum()),
            rows_per_run: per_run(after.rows - before.rows),
            hot_share: if updates == 0 {
                1.0
            } else {
                (after.hot_updates - before.hot_updates) as f64 / updates as f64
            },
            pages_per_run: per_run(after.pages - before.pages),
            db_bytes_per_run: per_run(after.size - before.size) as i64,
            deadlocks: after.deadlocks - before.deadlocks,
            rss_mb: measure::read_peak_rss_mb(),
            more: Map::new(),
            statements,
        }
    }

    /// With these latencies.
    pub(super) fn with_latencies(mut self, (p50, p99): (f64, f64)) -> Self {
        (self.latency_ms_p50, self.latency_ms_p99) = (p50, p99);
        self
    }

    /// With a figure that only this scenario has.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// Median and the slowest but one in a hundred of these milliseconds; zeros where there are none.
pub(super) fn percentiles(mut ms: Vec<f64>) -> (f64, f64) {
    ms.sort_by(f64::total_cmp);
    (percentile(&ms, 50), percentile(&ms, 99))
}

/// The value that `percent` per cent of them are at most.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_of_two_hundred_values() {
        let sorted: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!([percentile(&sorted, 50), percentile(&sorted, 99), percentile(&sorted, 100)], [100.0, 198.0, 199.0]);
    }
}
