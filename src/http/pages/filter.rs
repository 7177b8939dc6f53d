//! A run filter as it stands in a page's address, and back. Names are the fields of [`RunFilter`].

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime};

use crate::{
    engine::{RunFilter, Time},
    http::problem::Problem,
};

/// Reads a filter. `now` is what spans such as `since=1h` count back from.
pub(super) fn read<'a>(params: impl Iterator<Item = (&'a str, &'a str)>, now: Time) -> Result<RunFilter, Problem> {
    let mut filter = RunFilter::default();
    for (name, value) in params {
        let text = || Some(value.to_owned());
        match name {
            "workflow" => filter.workflow = text(),
            "version" => filter.version = Some(number(name, value)?),
            "status" => filter.status = text(),
            "key" => filter.key = text(),
            "tag" => filter.tag = text(),
            "error" => filter.error = text(),
            "step" => filter.step = text(),
            "fingerprint" => filter.fingerprint = text(),
            "attention" => filter.attention = matches!(value, "true" | "1" | "on"),
            "since" => filter.since = Some(time(name, value, now)?),
            "until" => filter.until = Some(time(name, value, now)?),
            "limit" => filter.limit = Some(number(name, value)?),
            "cursor" => filter.cursor = text(),
            _ => return Err(Problem::invalid(format!("there is no filter {name}"))),
        }
    }
    Ok(filter)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| Problem::invalid(format!("{name} is {value}; it is a number")))
}

/// A moment, a day, or a span before now.
pub(super) fn time(name: &str, value: &str, now: Time) -> Result<Time, Problem> {
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
pub(super) fn words<'a>(params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let told = params.filter(|(name, _)| !matches!(*name, "cursor" | "limit"));
    let told = told.map(|(name, value)| match name {
        "attention" => "needs attention".to_owned(),
        "fingerprint" => format!("error group {value}"),
        _ => format!("{name} {value}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// The filter's fields as they stand in addresses.
pub(super) fn pairs(filter: &RunFilter) -> Vec<(String, String)> {
    let fields = serde_json::to_value(filter).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = fields.as_object().into_iter().flatten();
    pairs.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A filter in words.
pub(super) fn told(filter: &RunFilter) -> String {
    let pairs = pairs(filter);
    words(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        "2026-01-02T00:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_time_may_be_a_span_a_day_or_a_moment() {
        for text in ["12h", "2026-01-01T12:00", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00+01:00"] {
            assert_eq!(time("since", text, now()).ok(), "2026-01-01T12:00:00Z".parse().ok(), "{text}");
        }
        assert_eq!(time("since", "2026-01-01", now()).ok(), "2026-01-01T00:00:00Z".parse().ok());
        assert!(time("since", "yesterday", now()).is_err());
    }

    #[test]
    fn an_unheard_of_condition_is_refused_and_not_ignored() {
        let code = |name, value| read([(name, value)].into_iter(), now()).map_err(|problem| problem.code()).err();
        assert_eq!(code("workfolw", "order"), Some("invalid_request"));
        assert_eq!(code("version", "two"), Some("invalid_request"));
        assert_eq!(code("workflow", "order"), None);
    }
}
