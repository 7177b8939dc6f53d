//! The address of a page: its path and parameters, in one form for all addresses that mean the same. It stands for what
//! the page shows, in links, in live updates and in the browser.

use axum::{extract::Query, http::Uri};

use super::links;
use crate::http::problem::Problem;

/// The parameter that names what was just done. It makes no other page.
pub(super) const DONE: &str = "done";

const LONGEST: usize = 2048;

/// A path and its parameters, sorted, without those that are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    path: String,
    params: Vec<(String, String)>,
}

impl Address {
    /// Reads an address: path and query, without the host and the base.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::invalid(format!("an address has at most {LONGEST} bytes")));
        }
        let uri: Uri = text.parse().map_err(|_| Problem::invalid("the address can't be read"))?;
        Self::of(&uri)
    }

    /// The address of a request.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let mut params = query.map_err(|error| Problem::invalid(format!("the parameters: {}", error.body_text())))?.0;
        params.retain(|(name, value)| !value.trim().is_empty() && name != DONE);
        if params.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Problem::invalid("a parameter has a NUL character"));
        }
        params.sort();
        Ok(Self { path: uri.path().to_owned(), params })
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        links::address(&self.path, self.params.iter().map(|(name, value)| (name, value)))
    }

    /// The path, still encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The parts of the path between slashes, still encoded.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// All parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// The same address with another value of a parameter; an empty value removes it. A cursor is valid only for the
    /// parameters that it was made for, so it is removed too.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.params.iter().filter(|(known, _)| known != name && known != "cursor");
        let others = others.map(|(known, value)| (known.as_str(), value.as_str()));
        links::address(&self.path, others.chain([(name, value)]))
    }

    /// The address of the next slice of a list, where there is one.
    pub fn next(&self, cursor: Option<String>) -> Option<String> {
        cursor.map(|cursor| self.with("cursor", &cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    #[test]
    fn addresses_that_mean_the_same_are_equal() {
        let one = address("/runs?status=stuck&workflow=order");
        assert_eq!(one, address("/runs?workflow=order&key=&status=stuck&done=retry"));
        assert_eq!(one.text(), "/runs?status=stuck&workflow=order");
        assert_ne!(one, address("/runs?status=stuck"));
    }

    #[test]
    fn another_filter_drops_the_cursor() {
        assert_eq!(address("/runs?cursor=x&status=stuck").with("status", "failed"), "/runs?status=failed");
        assert_eq!(address("/runs?cursor=x&status=stuck").with("status", ""), "/runs");
    }

    #[test]
    fn an_unreadable_address_is_refused() {
        assert!(Address::parse("http://").is_err());
        assert!(Address::parse(&format!("/runs?key={}", "x".repeat(3000))).is_err());
        assert!(Address::parse("/runs?key=%00").is_err());
    }
}
