//! A view: what of a page changes by itself, named by the page's own address. Pages, and the streams that keep them up to
//! date, render the same one. It depends on nobody's role or session: the same for all who look.

use axum::http::Uri;

use super::{attention, audit, fleet, operations, orders, overview, run, runs, schedules};
use crate::http::{App, problem::Problem};

/// What was done stands in an address for the one page that tells it; no view has it.
pub(super) const DONE: &str = "done";

const LONGEST: usize = 2048;

/// A path and its parameters, in one form for all addresses that mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    path: String,
    params: Vec<(String, String)>,
}

/// A view's content.
#[derive(Clone, Debug)]
pub(super) struct Fragment {
    /// Of the document.
    pub(super) title: String,
    /// The part of the dashboard.
    pub(super) section: &'static str,
    /// HTML.
    pub(super) html: String,
}

impl Fragment {
    /// Renders a template.
    pub(super) fn of<T: askama::Template>(
        title: impl Into<String>,
        section: &'static str,
        template: &T,
    ) -> Result<Self, Problem> {
        let html = template.render().map_err(|error| Problem::internal("internal_error", &error))?;
        Ok(Self { title: title.into(), section, html })
    }
}

impl View {
    /// Reads an address: path and query, without the host.
    pub(super) fn parse(address: &str) -> Result<Self, Problem> {
        let unreadable = || Problem::invalid("the address can't be read");
        if address.len() > LONGEST {
            return Err(Problem::invalid(format!("an address has at most {LONGEST} bytes")));
        }
        let uri: Uri = address.parse().map_err(|_| unreadable())?;
        Self::of(&uri)
    }

    /// The view of a request.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let mut params = query.map_err(|error| Problem::invalid(format!("the parameters: {}", error.body_text())))?.0;
        params.retain(|(name, value)| !value.trim().is_empty() && name != DONE);
        if params.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Problem::invalid("a parameter has a NUL character"));
        }
        params.sort();
        Ok(Self { path: uri.path().to_owned(), params })
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        super::format::address(&self.path, self.params.iter().map(|(name, value)| (name, value)))
    }

    /// A parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// All parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// The same view with another value of a parameter; an empty one takes it away. A cursor belongs to what it was
    /// made for, so it goes.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let others = self.params.iter().filter(|(known, _)| known != name && known != "cursor");
        let others = others.map(|(known, value)| (known.as_str(), value.as_str()));
        super::format::address(&self.path, others.chain([(name, value)]))
    }

    /// Renders it: at most a few reads of the database.
    pub(super) async fn render(&self, app: &App) -> Result<Fragment, Problem> {
        let parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => overview::fragment(app).await,
            ["runs"] => runs::fragment(app, self).await,
            ["runs", id] => run::fragment(app, id).await,
            ["attention"] => attention::fragment(app, self).await,
            ["fleet"] => fleet::fragment(app).await,
            ["operations"] => operations::list(app, self).await,
            ["operations", id] => operations::one(app, self, id).await,
            ["schedules"] => schedules::list(app).await,
            ["schedules", name] => schedules::one(app, self, name).await,
            ["audit"] => audit::fragment(app, self).await,
            ["orders"] => orders::list(app, self).await,
            ["orders", id] => orders::one(app, id).await,
            _ => Err(Problem::new("unknown_route", "no page has this address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(address: &str) -> View {
        View::parse(address).expect("a view")
    }

    #[test]
    fn addresses_that_mean_the_same_are_one_view() {
        let one = view("/runs?status=stuck&workflow=order");
        assert_eq!(one, view("/runs?workflow=order&key=&status=stuck&done=retry"));
        assert_eq!(one.address(), "/runs?status=stuck&workflow=order");
        assert_ne!(one, view("/runs?status=stuck"));
    }

    #[test]
    fn another_filter_begins_on_its_first_page() {
        assert_eq!(view("/runs?cursor=x&status=stuck").with("status", "failed"), "/runs?status=failed");
        assert_eq!(view("/runs?cursor=x&status=stuck").with("status", ""), "/runs");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert!(View::parse("http://").is_err());
        assert!(View::parse(&format!("/runs?key={}", "x".repeat(3000))).is_err());
        assert!(View::parse("/runs?key=%00").is_err());
    }
}
