//! The pages' style sheet, script and icon, compiled into the binary: no build step, no other host, nothing to install.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use crate::http::App;

const STYLE: &str = include_str!("assets/backstitch.css");
const SCRIPT: &str = include_str!("assets/backstitch.js");
const ICON: &str = include_str!("assets/icon.svg");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    [STYLE, SCRIPT, ICON].iter().for_each(|text| hasher.update(text.as_bytes()));
    hex::encode(&hasher.finalize()[..6])
});

/// Changes whenever an asset does: part of the assets' addresses, and their ETag.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// The routes.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/assets/backstitch.css", get(|headers: HeaderMap| asset(headers, "text/css; charset=utf-8", STYLE)))
        .route(
            "/assets/backstitch.js",
            get(|headers: HeaderMap| asset(headers, "text/javascript; charset=utf-8", SCRIPT)),
        )
        .route("/assets/icon.svg", get(|headers: HeaderMap| asset(headers, "image/svg+xml", ICON)))
        .route("/favicon.ico", get(|headers: HeaderMap| asset(headers, "image/svg+xml", ICON)))
}

async fn asset(headers: HeaderMap, kind: &'static str, text: &'static str) -> Response {
    let tag = format!("\"{}\"", version());
    let head = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "max-age=3600".to_owned()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::STYLE;

    const DOCS: &str = include_str!("../openapi/docs.css");

    /// What text stands on, and the colours of text that stand on all of it.
    const GROUNDS: &[&str] = &["paper", "card", "hover", "accent-soft", "idle-soft", "code"];
    const TEXTS: &[&str] = &["ink", "soft", "faint", "accent", "get", "post", "put", "delete"];
    /// Texts on a ground of their own.
    const BADGES: &[(&str, &str)] = &[
        ("good", "good-soft"),
        ("bad", "bad-soft"),
        ("warn", "warn-soft"),
        ("undo", "undo-soft"),
        ("idle", "idle-soft"),
        ("busy", "busy-soft"),
        ("card", "accent"),
        ("card", "bad"),
        ("bad", "card"),
        ("warn", "card"),
    ];
    /// WCAG 2, level AA, for text of this size.
    const ENOUGH: f64 = 4.5;

    /// The colours that a style sheet sets in its n-th `:root`, over those of the first.
    fn colours(style: &str, nth: usize) -> HashMap<&str, [u8; 3]> {
        let roots = [style.split(":root {").nth(1), style.split(":root {").nth(nth)];
        let bodies = roots.into_iter().flatten().filter_map(|rest| rest.split('}').next());
        let set = bodies
            .flat_map(|body| body.split(';'))
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        let byte = |hex: &str, at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a colour");
        set.map(|(name, hex)| (name, [byte(hex, 0), byte(hex, 2), byte(hex, 4)])).collect()
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let light = |[r, g, b]: [u8; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        let (one, other) = (light(one), light(other));
        (one / other).max(other / one)
    }

    #[test]
    fn every_text_stands_out_from_its_ground() {
        let pairs = || {
            let everywhere = TEXTS.iter().flat_map(|text| GROUNDS.iter().map(move |ground| (*text, *ground)));
            everywhere.chain(BADGES.iter().copied())
        };
        for (sheet, scheme, colours) in [
            ("dashboard", "light", colours(STYLE, 1)),
            ("dashboard", "dark", colours(STYLE, 2)),
            ("docs", "light", colours(DOCS, 1)),
            ("docs", "dark", colours(DOCS, 2)),
        ] {
            assert!(colours.len() >= 13, "{sheet}, {scheme}: {colours:?}");
            for (text, ground) in pairs() {
                let (Some(over), Some(under)) = (colours.get(text), colours.get(ground)) else { continue };
                let found = contrast(*over, *under);
                assert!(found >= ENOUGH, "{sheet}, {scheme}: {text} on {ground} is {found:.2}:1, {ENOUGH} is enough");
            }
        }
    }
}
