//! Form parameters in Stripe's form: flat pairs, `metadata[name]=value`.

use std::collections::BTreeMap;

use axum::{
    Form,
    extract::{FromRequest, Request},
    http::{HeaderValue, header::CONTENT_TYPE},
};

use super::objects::{Metadata, Reply};

/// The parameters of a POST, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Params(BTreeMap<String, String>);

impl Params {
    pub(super) async fn read(mut request: Request) -> Result<Self, Reply> {
        // A POST without parameters may come without a content type.
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().entry(CONTENT_TYPE).or_insert(form);
        match Form::<Vec<(String, String)>>::from_request(request, &()).await {
            Ok(Form(pairs)) => Ok(Self(pairs.into_iter().collect())),
            Err(rejection) => Err(Reply::invalid("form_invalid", &rejection.body_text())),
        }
    }

    /// The same for the same parameters in any order.
    pub(super) fn fingerprint(&self, path: &str) -> String {
        format!("{path} {:?}", self.0)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Reply> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Reply::invalid("parameter_missing", &format!("Missing param: {name}.")))
    }

    /// An amount in minor units; `None` if the parameter is absent.
    pub(super) fn amount(&self, name: &str) -> Result<Option<i64>, Reply> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse::<i64>() {
            Ok(amount) if amount > 0 => Ok(Some(amount)),
            _ => Err(Reply::invalid("parameter_invalid_integer", &format!("{name} must be a positive integer."))),
        }
    }

    pub(super) fn metadata(&self) -> Metadata {
        let entries = self.0.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((name.to_owned(), value.clone()))
        });
        entries.collect()
    }
}
