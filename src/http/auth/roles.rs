//! The one table of who may what: the least role per method and route. The guard asks it, the API description is made from
//! it, and a test holds that every route of the router is in it.
//!
//! The first row that fits counts. `*` as a method fits any; a `*` at the end of a route fits any rest. What no row fits
//! needs an admin, so that a forgotten route is closed and not open.

use crate::engine::Role;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a key.
    Open,
    /// Keys with this role or a later one.
    Least(Role),
}

use Access::{Least, Open};
use Role::{Admin, Operator, Starter, Viewer};

/// Method, route, who may.
pub type Row = (&'static str, &'static str, Access);

/// The API.
pub const API: &[Row] = &[
    ("*", "/v1/keys*", Least(Admin)),
    ("POST", "/v1/inbox/{source}", Open),
    ("GET", "/v1/*", Least(Viewer)),
    ("POST", "/v1/runs", Least(Starter)),
    ("POST", "/v1/runs/batch", Least(Starter)),
    ("POST", "/v1/runs/{id}/signals/{name}", Least(Starter)),
    ("POST", "/v1/runs/{id}/*", Least(Operator)),
    ("*", "/v1/operations*", Least(Operator)),
    ("*", "/v1/holds*", Least(Operator)),
    ("*", "/v1/inbox*", Least(Operator)),
    ("*", "/v1/events*", Least(Operator)),
    ("*", "/v1/retention*", Least(Operator)),
    ("*", "/v1/schedules*", Least(Operator)),
    ("*", "/v1/attention*", Least(Operator)),
];

/// Everything that is not under `/v1`: health, documents, pages.
pub const PAGES: &[Row] = &[
    ("GET", "/healthz", Open),
    ("GET", "/readyz", Open),
    ("GET", "/metrics", Open),
    ("GET", "/openapi.json", Open),
    ("GET", "/docs*", Open),
    ("GET", "/assets/*", Open),
    ("GET", "/favicon.ico", Open),
    ("*", "/login", Open),
    ("POST", "/logout", Open),
    ("GET", "/*", Least(Viewer)),
    ("POST", "/*", Least(Operator)),
];

/// Whether a path belongs to the API.
pub(in crate::http) fn is_api(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// The row for a method and a route, written as in the router. Rows of plugins come first.
pub fn row<'a>(plugins: &'a [Row], method: &str, route: &str) -> Option<&'a Row> {
    let method = if method == "HEAD" { "GET" } else { method };
    let fits = |row: &&Row| {
        let (any, pattern) = (row.0 == "*", row.1);
        let route_fits = pattern.strip_suffix('*').map_or(pattern == route, |begin| route.starts_with(begin));
        (any || row.0 == method) && route_fits
    };
    plugins.iter().chain(if is_api(route) { API } else { PAGES }).find(fits)
}

/// Who may.
pub(in crate::http) fn access(plugins: &[Row], method: &str, route: &str) -> Access {
    row(plugins, method, route).map_or(Least(Admin), |row| row.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_row_counts() {
        let cases = [
            ("GET", "/v1/runs/{id}", Least(Viewer)),
            ("HEAD", "/v1/runs/{id}", Least(Viewer)),
            ("GET", "/v1/keys", Least(Admin)),
            ("POST", "/v1/runs/{id}/signals/{name}", Least(Starter)),
            ("POST", "/v1/runs/{id}/cancel", Least(Operator)),
            ("DELETE", "/v1/runs/{id}", Least(Admin)),
            ("GET", "/runs", Least(Viewer)),
            ("GET", "/", Least(Viewer)),
            ("DELETE", "/runs", Least(Admin)),
            ("POST", "/runs/{id}/act/{verb}", Least(Operator)),
            ("POST", "/v1/keys", Least(Admin)),
            ("DELETE", "/v1/keys/{id}", Least(Admin)),
            ("POST", "/v1/runs", Least(Starter)),
            ("POST", "/v1/runs/{id}/steps/{seq}/resolve", Least(Operator)),
            ("POST", "/v1/operations", Least(Operator)),
            ("POST", "/v1/operations/{id}/cancel", Least(Operator)),
            ("PUT", "/v1/holds/{kind}/{name}", Least(Operator)),
            ("PUT", "/v1/retention/{workflow}", Least(Operator)),
            ("POST", "/v1/schedules/{name}/run", Least(Operator)),
            ("POST", "/v1/attention", Least(Operator)),
        ];
        for (method, route, expected) in cases {
            assert_eq!(access(&[], method, route), expected, "{method} {route}");
        }
    }

    #[test]
    fn rows_of_a_plugin_come_first() {
        let own: &[Row] = &[("POST", "/v1/webhooks/*", Open), ("POST", "/v1/tenants", Least(Starter))];
        assert_eq!(access(own, "POST", "/v1/webhooks/stripe"), Open);
        assert_eq!(access(own, "POST", "/v1/tenants"), Least(Starter));
        assert_eq!(access(own, "DELETE", "/v1/tenants"), Least(Admin));
        assert_eq!(access(own, "GET", "/v1/tenants"), Least(Viewer));
    }
}
