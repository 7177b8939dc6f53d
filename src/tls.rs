//! TLS for outgoing HTTP. reqwest is built without a crypto provider of its own, so that the package needs neither C++ nor
//! cmake; rustls' ring provider is installed for the process before the first client is built.

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};

/// Installs rustls' ring provider for the process. May be called any number of times, from anywhere.
pub fn install_crypto_provider() {
    // An error means that one is installed already, which is all we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for calls to `url`, each bounded by `timeout` from connecting to the last byte.
///
/// Redirects are not followed: a POST that moves money must not be sent on. A proxy from the environment is
/// honoured, except for addresses of this host.
///
/// # Errors
/// When TLS can't be set up.
pub fn client(url: &Url, timeout: Duration) -> Result<Client, reqwest::Error> {
    install_crypto_provider();
    let mut builder = Client::builder()
        .timeout(timeout)
        // Shorter than the whole, so that a host that does not answer counts as "nothing was sent".
        .connect_timeout(timeout / 2)
        .redirect(Policy::none());
    if is_this_host(url) {
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_this_host(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_this_host() {
        let is = |text: &str| is_this_host(&Url::parse(text).expect("a URL"));
        assert!(is("http://127.0.0.1:1/"));
        assert!(is("http://[::1]:1/"));
        assert!(is("http://localhost/"));
        assert!(!is("https://api.stripe.com/"));
        assert!(!is("http://10.0.0.1/"));
    }
}
