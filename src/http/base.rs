//! The path under which the router is mounted, such as `/ops/backstitch`.
//!
//! Handlers, redirects and pages write addresses as if the router stood at the root. Two places add the base: the filter
//! [`filters::href`], which every link of a template goes through, and [`add_to_location`], around all routes. Routes as
//! the outer router names them are read with [`Base::strip`].

use std::{fmt, sync::Arc};

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// The name by which templates get the base.
const VALUE: &str = "base";

/// A path without a slash at its end; empty at the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base(Arc<str>);

impl Base {
    /// The base at this path: `/ops/backstitch`. Slashes around it make no difference; an empty one is the root.
    pub fn new(path: &str) -> Self {
        let path = path.trim_matches('/');
        Self(if path.is_empty() { "".into() } else { format!("/{path}").into() })
    }

    /// An address of the router as clients see it. `address` begins with a slash. The router's root under a base has no
    /// slash at its end: axum's `nest` serves it so.
    pub fn href(&self, address: &str) -> String {
        let root = address.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?'));
        match root {
            Some(rest) if !self.0.is_empty() => format!("{self}{rest}"),
            _ => format!("{self}{address}"),
        }
    }

    /// A route or path without the base, as the router itself has it.
    pub(super) fn strip<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(&*self.0) {
            Some(rest) if rest.starts_with('/') => rest,
            Some("") => "/",
            _ => path,
        }
    }

    /// The path that a cookie of this router is limited to.
    pub fn cookie_path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
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
        f.write_str(&self.0)
    }
}

/// A layer that adds the base to the addresses in `Location`.
pub(super) async fn add_to_location(State(base): State<Base>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let ours = location.filter(|address| address.starts_with('/') && !address.starts_with("//"));
    if let Some(value) = ours.and_then(|address| HeaderValue::from_str(&base.href(address)).ok()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// What templates call.
#[allow(unreachable_pub, reason = "the macro's own item")]
pub(super) mod filters {
    use super::{Base, VALUE};

    /// An address of ours as a link: `{{ "/runs"|href }}`. A template that is rendered without a base fails.
    #[askama::filter_fn]
    pub(in crate::http) fn href(
        address: impl std::fmt::Display,
        values: &dyn askama::Values,
    ) -> askama::Result<String> {
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
        assert_eq!((Base::new("/").href("/runs"), Base::new("/").href("/")), ("/runs".to_owned(), "/".to_owned()));
        assert_eq!([Base::new("ops").href("/"), Base::new("ops").href("/?a=b")], ["/ops", "/ops?a=b"]);
        let base = Base::new("/ops");
        let stripped = ["/ops/runs", "/ops", "/opsx", "/v1/ops"].map(|path| base.strip(path));
        assert_eq!(stripped, ["/runs", "/", "/opsx", "/v1/ops"]);
        assert_eq!((Base::default().strip("/runs"), Base::default().strip("/")), ("/runs", "/"));
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
