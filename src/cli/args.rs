//! Arguments that several commands have.

use std::str::FromStr;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use crate::engine::{RunFilter, RunStatus, Time, UnknownWord};

/// Which part of a list.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SliceArgs {
    /// At most this many (up to 200)
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) limit: u32,
    /// Cursor from the previous page
    #[arg(long)]
    pub(super) cursor: Option<String>,
}

impl SliceArgs {
    /// As parameters.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        [("limit", self.limit.to_string())].into_iter().chain(cursor).collect()
    }
}

/// Conditions on runs, for lists and for bulk operations.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ConditionArgs {
    /// Only runs of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// Only runs of this version of it
    #[arg(long)]
    version: Option<i32>,
    /// Only runs of this status
    #[arg(long, value_parser = parse_word::<RunStatus>(RunStatus::WORDS), hide_possible_values = true)]
    status: Option<RunStatus>,
    /// Only runs with this tag: NAME or NAME:VALUE
    #[arg(long)]
    tag: Option<String>,
    /// Only runs with this error code: of their failure, or of a step that needs attention
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Only runs that failed, are stuck or need attention at this step
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Only runs with the same error, as `backstitch attention` groups them
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    /// Only runs started at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// Only runs started before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

impl ConditionArgs {
    /// The arguments, by id: any of them replaces a run's id.
    pub(super) const IDS: [&str; 9] =
        ["workflow", "version", "status", "tag", "error", "step", "fingerprint", "since", "until"];

    /// The filter that the API takes.
    pub(super) fn filter(self) -> RunFilter {
        let Self { workflow, version, status, tag, error, step, fingerprint, since, until } = self;
        RunFilter { workflow, version, status, tag, error, step, fingerprint, since, until, ..RunFilter::default() }
    }
}

/// A parser for one of an enum's words.
pub(super) fn parse_word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownWord> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words.iter().copied()).try_map(|word| word.parse::<T>())
}

/// A JSON argument: the text itself, `@FILE`, or `-` for stdin.
pub(super) fn json_argument(name: &str, text: &str) -> anyhow::Result<Value> {
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("{name}: {path} can't be read"))?,
        None if text == "-" => std::io::read_to_string(std::io::stdin()).context("stdin can't be read")?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))
}

/// The same for one that may be missing.
pub(super) fn optional_json(name: &str, text: Option<&str>) -> anyhow::Result<Option<Value>> {
    text.map(|text| json_argument(name, text)).transpose()
}
