//! The figures of a load.

use serde::Serialize;

/// What a load came to. Its JSON form is what `backstitch bench -o json` prints.
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
    pub postgres: serde_json::Map<String, serde_json::Value>,
}

/// The value that `percent` per cent of them are at most. There must be at least one.
pub(super) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
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
