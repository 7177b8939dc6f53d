//! How a request that another site made a browser send differs from one that its user wants: pure functions of headers.
//!
//! Two dangers. A page elsewhere sends a form or a request here, and the browser adds the cookie (or, where no key is asked
//! for, needs none). A page elsewhere rebinds its own name to this machine's address and is then of the same origin.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Uri, header};

/// Whether a method is meant to change something.
pub(super) fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host (and port) that the client addressed.
pub(super) fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let given = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    given.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str)).map(str::to_ascii_lowercase)
}

/// A host without its port and brackets.
fn name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether a host means this machine itself.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = name(host);
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a host is this address.
pub(super) fn is_address(host: &str, ip: IpAddr) -> bool {
    name(host).parse::<IpAddr>().is_ok_and(|given| given == ip)
}

/// Whether a browser says that another site's page has sent this. Programs that are no browsers send neither header.
/// `x-forwarded-host` counts too, for proxies that change the host: a page can't set it without asking first.
pub(super) fn is_cross_site(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if text("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return true;
    }
    let Some(origin) = text("origin") else { return false };
    let Some((_, from)) = origin.split_once("://") else { return true }; // `null`, or what is no origin
    let hosts = [host(headers, uri), text("x-forwarded-host")];
    !hosts.iter().flatten().any(|host| host == from)
}

/// Whether a cookie may be kept for encrypted connections only. On this machine itself there are none to be had. What a
/// proxy says of its own connection only makes it stricter, so an unchecked header does no harm.
pub(super) fn wants_secure_cookie(headers: &HeaderMap, uri: &Uri) -> bool {
    let forwarded =
        headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    forwarded || !host(headers, uri).is_some_and(|host| is_loopback(&host))
}

/// A cookie of the request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether a client wants a page rather than data.
pub(in crate::http) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|kinds| kinds.contains("text/html"))
}

/// A path to go on to, if it is one of ours: what leads elsewhere would make the sign-in page a springboard.
pub(super) fn local_path(text: &str) -> &str {
    let ours = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('\\')
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if ours { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
        };
        pairs.iter().map(pair).collect()
    }

    fn cross(pairs: &[(&'static str, &str)]) -> bool {
        is_cross_site(&headers(pairs), &Uri::from_static("/v1/runs"))
    }

    #[test]
    fn only_another_origin_is_cross_site() {
        let host = ("host", "127.0.0.1:8080");
        assert!(!cross(&[host]));
        assert!(!cross(&[host, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(!cross(&[("host", "inner"), ("x-forwarded-host", "a.example"), ("origin", "https://a.example")]));
        for origin in
            ["https://evil.example", "http://127.0.0.1:3000", "null", "", "http://127.0.0.1:8080.evil.example"]
        {
            assert!(cross(&[host, ("origin", origin)]), "{origin}");
        }
        assert!(cross(&[host, ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for ours in ["localhost", "localhost:80", "127.0.0.1:8080", "127.8.9.1", "[::1]:80", "a.localhost:1"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in
            ["localhost.evil.example", "evil.example:80", "10.0.0.1", "[fe80::1]", "", "127.0.0.1.evil.example"]
        {
            assert!(!is_loopback(other), "{other}");
        }
        assert!(is_address("10.0.0.7:80", IpAddr::from([10, 0, 0, 7])));
    }

    #[test]
    fn sign_in_leads_only_to_own_paths() {
        assert_eq!(local_path("/runs?status=stuck"), "/runs?status=stuck");
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\nb", "runs"] {
            assert_eq!(local_path(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; backstitch_session=ab; xbackstitch_session=no")]);
        assert_eq!(cookie(&headers, "backstitch_session"), Some("ab"));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn cookies_are_secure_except_on_this_machine() {
        let secure = |pairs: &[(&'static str, &str)]| wants_secure_cookie(&headers(pairs), &Uri::from_static("/login"));
        assert!(!secure(&[("host", "localhost:8080")]));
        assert!(secure(&[("host", "localhost:8080"), ("x-forwarded-proto", "https")]));
        assert!(secure(&[("host", "backstitch.example")]));
    }
}
