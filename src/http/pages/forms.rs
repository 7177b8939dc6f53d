//! The fields of a form, and how their texts are read. An empty field counts as not given.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

use crate::http::problem::Problem;

/// What a browser sent: field names and texts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field's text as it came, for showing it again.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// A field's text without the spaces around it, where there is any.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// All fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Fills in a field that did not come.
    pub(super) fn set_default(&mut self, name: &str, text: &str) {
        self.0.entry(name.to_owned()).or_insert_with(|| text.to_owned());
    }

    /// A field as a number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse =
            |text: &str| text.parse().map_err(|_| Problem::invalid(format!("{name} is {text}; it is a number")));
        self.given(name).map(parse).transpose()
    }

    /// A field as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |text: &str| {
            serde_json::from_str(text).map_err(|error| Problem::invalid(format!("{name} is not JSON: {error}")))
        };
        self.given(name).map(parse).transpose()
    }

    /// A field as a length of time: `500ms`, `30s`, `10m`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let parse = |text: &str| {
            humantime::parse_duration(text)
                .map_err(|_| Problem::invalid(format!("{name} is {text}; write 500ms, 30s or 10m")))
        };
        self.given(name).map(parse).transpose()
    }
}

#[cfg(test)]
impl Fields {
    /// Fields with these texts.
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }
}
