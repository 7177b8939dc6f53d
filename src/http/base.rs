//! The path under which the router is mounted, such as `/ops/backstitch`. A router that is nested learns it from the first
//! request; behind a proxy that strips a path, the path is given.
//!
//! Handlers, redirects and pages write addresses as if the router stood at the root. Two places add the base: the filter
//! [`filters::href`], which every link of a template goes through, and [`add_to_location`], around all routes. Routes as
//! the outer router names them are read with [`matched_route`].

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use askama::Template;
use axum::{
    extract::{MatchedPath, NestedPath, Request, State},
    http::{Extensions, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// The name by which templates get the base.
const VALUE: &str = "base";

/// A path without a slash at its end; empty at the root, and as long as it is not known.
#[derive(Clone, Debug, Default)]
pub struct Base(Arc<OnceLock<String>>);

impl Base {
    /// The base at this path: `/ops/backstitch`. Slashes around it make no difference; an empty one is the root.
    pub fn new(path: &str) -> Self {
        let base = Self::default();
        base.learn(path);
        base
    }

    /// Takes the path for the base, unless the base is known.
    fn learn(&self, path: &str) {
        let path = path.trim_matches('/');
        self.0.get_or_init(|| if path.is_empty() { String::new() } else { format!("/{path}") });
    }

    /// The path; empty at the root.
    pub fn as_str(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }

    /// An address of the router as clients see it. `address` begins with a slash. The router's root under a base has no
    /// slash at its end: axum's `nest` serves it so.
    pub fn href(&self, address: &str) -> String {
        // A nested router answers at `/ops`, and not at `/ops/`.
        let address = match address.strip_prefix('/') {
            Some(rest) if !self.as_str().is_empty() && (rest.is_empty() || rest.starts_with('?')) => rest,
            _ => address,
        };
        format!("{self}{address}")
    }

    /// The path that a cookie of this router is limited to.
    pub fn cookie_path(&self) -> &str {
        if self.as_str().is_empty() { "/" } else { self.as_str() }
    }

    /// Renders a template whose links go through [`filters::href`].
    ///
    /// # Errors
    /// When the template fails.
    pub fn render<T: Template>(&self, template: &T) -> askama::Result<String> {
        let value: Box<dyn std::any::Any> = Box::new(self.clone());
        template.render_with_values(&(VALUE, value))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The route of a request as this router writes it, without the path that the router is nested under.
pub(super) fn matched_route(extensions: &Extensions) -> Option<&str> {
    let matched = extensions.get::<MatchedPath>()?.as_str();
    let nested = extensions.get::<NestedPath>().map_or("", |path| path.as_str().trim_end_matches('/'));
    let route = matched.strip_prefix(nested).unwrap_or(matched);
    Some(if route.is_empty() { "/" } else { route })
}

/// A layer that learns the base, and adds it to the addresses in `Location`.
pub(super) async fn add_to_location(State(base): State<Base>, request: Request, next: Next) -> Response {
    match request.extensions().get::<NestedPath>() {
        Some(nested) if !nested.as_str().contains('{') => base.learn(nested.as_str()),
        _ => {}
    }
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let ours = location.filter(|address| address.starts_with('/') && !address.starts_with("//"));
    if let Some(value) = ours.and_then(|address| HeaderValue::from_str(&base.href(address)).ok()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// What templates call.
#[allow(missing_docs, reason = "the macro makes a struct of the filter")]
pub mod filters {
    use super::{Base, VALUE};

    /// An address of ours as a link: `{{ "/runs"|href }}`. A template that is rendered without a base fails.
    #[askama::filter_fn]
    pub fn href(address: impl std::fmt::Display, values: &dyn askama::Values) -> askama::Result<String> {
        let base: &Base = askama::get_value(values, VALUE)?;
        Ok(base.href(&address.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_one_slash_in_front() {
        for text in ["ops/backstitch", "/ops/backstitch", "/ops/backstitch/"] {
            assert_eq!(Base::new(text).href("/runs"), "/ops/backstitch/runs", "{text}");
        }
        assert_eq!(Base::new("/").href("/runs"), "/runs");
        assert_eq!((Base::new("/").href("/"), Base::new("/ops").href("/")), ("/".to_owned(), "/ops".to_owned()));
        assert_eq!(Base::new("/ops").href("/?done=retry"), "/ops?done=retry");
        assert_eq!((Base::default().cookie_path(), Base::new("a").cookie_path()), ("/", "/a"));
    }

    #[test]
    fn every_link_of_a_template_goes_through_href() {
        let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/pages/templates");
        for file in std::fs::read_dir(templates).expect("the templates") {
            let path = file.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a template");
            for attribute in [" href=\"", " src=\"", " action=\""] {
                for (at, _) in text.match_indices(attribute) {
                    let rest = &text[at + attribute.len()..];
                    let inner = rest.strip_prefix("{{").and_then(|rest| Some(rest.split_once("}}")?.0));
                    let good = rest.starts_with('#') || inner.is_some_and(|inner| inner.trim_end().ends_with("|href"));
                    assert!(good, "{}: {}", path.display(), rest.chars().take(60).collect::<String>());
                }
            }
        }
    }
}
