//! Counts the statements that this process sends, from sqlx's own log of them: it needs nothing of the server, and sees every
//! connection of the process. For `backstitch bench`.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// Where sqlx logs each statement.
const TARGET: &str = "sqlx::query";

/// By the beginning of the text; none: nobody counts in this process.
static COUNTS: Mutex<Option<BTreeMap<String, u64>>> = Mutex::new(None);

/// Statements so far, by the first words of each. None: this process does not count.
///
/// sqlx sends `BEGIN` without a word in its log: there are as many as transactions have ended.
pub fn counted_statements() -> Option<BTreeMap<String, u64>> {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    let ended = ["COMMIT", "ROLLBACK"].into_iter().filter_map(|end| counts.get(end)).sum();
    counts.entry("BEGIN".to_owned()).or_insert(ended);
    Some(counts)
}

/// A layer that counts, from now on.
pub fn count_statements<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    *COUNTS.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
    Counter.with_filter(OfSqlx)
}

/// Only sqlx's log of statements, whatever else is logged.
struct OfSqlx;

impl<S> Filter<S> for OfSqlx {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }
}

struct Counter;

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut summary = Summary(String::new());
        event.record(&mut summary);
        if let Some(counts) = &mut *COUNTS.lock().unwrap_or_else(PoisonError::into_inner) {
            let count = counts.entry(summary.0).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// The field with a statement's first words.
struct Summary(String);

impl Visit for Summary {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
