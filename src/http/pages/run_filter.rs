//! A run filter in a page's address: how it is read and written. It is the filter of `GET /v1/runs`, field by field; only times
//! may also be written as people do.

use std::borrow::Cow;

use axum::extract::Query;
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, SecondsFormat};

use super::links;
use crate::{
    engine::{RunFilter, Time},
    http::problem::Problem,
};

/// Reads a filter. Spans such as `since=1h` count back from `now`.
pub(super) fn parse<'a>(params: impl Iterator<Item = (&'a str, &'a str)>, now: Time) -> Result<RunFilter, Problem> {
    let write = |(name, value): (&'a str, &'a str)| {
        let value = match name {
            "since" | "until" => parse_time(name, value, now)?.to_rfc3339_opts(SecondsFormat::Micros, true).into(),
            "attention" if matches!(value, "1" | "on") => "true".into(),
            _ => Cow::Borrowed(value),
        };
        Ok((name, value))
    };
    let params = params.map(write).collect::<Result<Vec<_>, Problem>>()?;
    let unreadable = |_| Problem::invalid("the filter can't be read");
    let uri = links::address("/runs", params).parse().map_err(unreadable)?;
    match Query::try_from_uri(&uri) {
        Ok(Query(filter)) => Ok(filter),
        Err(error) => Err(Problem::invalid(format!("the filter: {}", error.body_text()))),
    }
}

/// A moment, a day, or a span before now.
pub(super) fn parse_time(name: &str, value: &str, now: Time) -> Result<Time, Problem> {
    if let Ok(at) = DateTime::parse_from_rfc3339(value) {
        return Ok(at.to_utc());
    }
    for form in ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(value, form) {
            return Ok(at.and_utc());
        }
    }
    if let Some(at) = value.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(at.and_utc());
    }
    let span = humantime::parse_duration(value).ok().and_then(|span| Duration::from_std(span).ok());
    span.and_then(|span| now.checked_sub_signed(span)).ok_or_else(|| {
        Problem::invalid(format!("{name} is {value}; write a span before now (1h, 30m, 7d), a day (2026-01-31) or a moment (2026-01-31T12:00)"))
    })
}

/// The filter's conditions in words, for a title.
pub(super) fn describe<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let conditions = params.filter(|(name, _)| is_condition(name)).map(|(name, value)| match name {
        "attention" => "needs attention".to_owned(),
        "fingerprint" => format!("error group {value}"),
        _ => format!("{name} {value}"),
    });
    conditions.collect::<Vec<_>>().join(", ")
}

/// Whether a field says which runs, rather than which slice of them.
pub(super) fn is_condition(name: &str) -> bool {
    !matches!(name, "cursor" | "limit")
}

/// The filter's fields as parameters of an address.
pub(super) fn pairs(filter: &RunFilter) -> Vec<(String, String)> {
    let fields = serde_json::to_value(filter).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = fields.as_object().into_iter().flatten();
    pairs.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        "2026-01-02T00:00:00Z".parse().expect("a time")
    }

    #[test]
    fn times_may_be_spans_days_or_moments() {
        for text in ["12h", "2026-01-01T12:00", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00"] {
            assert_eq!(parse_time("since", text, now()).ok(), "2026-01-01T12:00:00Z".parse().ok(), "{text}");
        }
        assert_eq!(parse_time("since", "2026-01-01", now()).ok(), "2026-01-01T00:00:00Z".parse().ok());
        assert!(parse_time("since", "yesterday", now()).is_err());
    }

    #[test]
    fn an_unknown_condition_is_refused() {
        let code = |name, value| parse([(name, value)].into_iter(), now()).map_err(|problem| problem.code()).err();
        assert_eq!(code("workfolw", "order"), Some("invalid_request"));
        assert_eq!(code("version", "two"), Some("invalid_request"));
        assert_eq!(code("workflow", "order"), None);
    }
}
