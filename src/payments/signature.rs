//! Webhook signatures of Stripe's scheme: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
//!
//! Promises: comparison takes constant time; several `v1` and several secrets are allowed, so that a secret can be
//! rotated without a gap; a signature older (or farther in the future) than the tolerance is refused, which bounds
//! replays. The inbox catches replays inside the tolerance, by event id.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::Secret;

/// The headers of an acquirer's webhook.
pub const ACQUIRER_SIGNATURE: &str = "Acquirer-Signature";
/// When it was signed, in Unix seconds.
pub const ACQUIRER_TIMESTAMP: &str = "Acquirer-Timestamp";

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "Stripe-Signature";

/// How old a signature may be.
pub const SIGNATURE_TOLERANCE: Duration = Duration::from_secs(300);

/// How many `v1` entries are checked; a gateway sends one per secret in rotation.
const MAX_CANDIDATES: usize = 8;

/// Why a webhook's signature is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No usable `t=` or no `v1=`.
    #[error("the signature header can't be read")]
    Malformed,
    /// The time is outside the tolerance.
    #[error("the signature is too old or too far in the future")]
    Stale,
    /// No signature matches any secret.
    #[error("the signature does not match the body")]
    Mismatch,
    /// No secret is configured, so nothing can be verified.
    #[error("no webhook secret is configured")]
    NoSecret,
}

impl SignatureError {
    /// Our stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "signature_malformed",
            Self::Stale => "signature_stale",
            Self::Mismatch => "signature_mismatch",
            Self::NoSecret => "signature_no_secret",
        }
    }
}

/// Checks a signature header against the raw body, as it came off the wire.
///
/// `now` is in Unix seconds.
///
/// # Errors
/// See [`SignatureError`]. An empty secret is ignored: anybody could sign with it.
pub fn verify_signature(
    secrets: &[Secret],
    header: &str,
    body: &[u8],
    now: i64,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let usable: Vec<&Secret> = secrets.iter().filter(|s| !s.is_empty()).collect();
    if usable.is_empty() {
        return Err(SignatureError::NoSecret);
    }
    let (timestamp, candidates) = parse(header)?;
    let mut fits = subtle::Choice::from(0);
    for secret in usable {
        let expected = digest(secret, timestamp, body);
        for candidate in &candidates {
            fits |= expected.as_slice().ct_eq(candidate);
        }
    }
    if !bool::from(fits) {
        return Err(SignatureError::Mismatch);
    }
    // After the signature, so that the answer tells a forger nothing about our clock.
    if now.abs_diff(timestamp) > tolerance.as_secs() {
        return Err(SignatureError::Stale);
    }
    Ok(())
}

/// The header for a body, signed at `timestamp` (Unix seconds) with each of the secrets.
pub fn sign(secrets: &[Secret], timestamp: i64, body: &[u8]) -> String {
    let mut header = format!("t={timestamp}");
    for secret in secrets {
        header.push_str(",v1=");
        header.push_str(&hex::encode(digest(secret, timestamp, body)));
    }
    header
}

/// The signature of an acquirer's webhook, which has its time in another header: a word for each secret.
pub fn sign_detached(secrets: &[Secret], timestamp: i64, body: &[u8]) -> String {
    let words: Vec<String> = secrets.iter().map(|secret| hex::encode(digest(secret, timestamp, body))).collect();
    words.join(" ")
}

/// Checks it; as [`verify_signature`] otherwise.
pub(super) fn verify_detached(
    secrets: &[Secret],
    (timestamp, signature): (&str, &str),
    body: &[u8],
    now: i64,
) -> Result<(), SignatureError> {
    let mut header = format!("t={}", timestamp.replace(',', " "));
    for word in signature.split(' ').filter(|word| !word.is_empty()) {
        header.push_str(",v1=");
        header.push_str(word);
    }
    verify_signature(secrets, &header, body, now, SIGNATURE_TOLERANCE)
}

fn parse(header: &str) -> Result<(i64, Vec<Vec<u8>>), SignatureError> {
    let mut timestamp = None;
    let mut candidates = Vec::new();
    for (name, value) in header.split(',').filter_map(|part| part.split_once('=')) {
        match name.trim() {
            "t" => timestamp = value.trim().parse::<i64>().ok(),
            // Other schemes (v0) are not signatures to us: accepting one would be a downgrade.
            "v1" if candidates.len() < MAX_CANDIDATES => {
                candidates.extend(hex::decode(value.trim()).ok());
            }
            _ => {}
        }
    }
    match timestamp {
        Some(timestamp) if !candidates.is_empty() => Ok((timestamp, candidates)),
        _ => Err(SignatureError::Malformed),
    }
}

fn digest(secret: &Secret, timestamp: i64, body: &[u8]) -> Vec<u8> {
    let key = secret.expose().as_bytes();
    // HMAC takes keys of any length; the `Result` is the trait's, for ciphers.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn verify(secrets: &[&str], header: &str, body: &[u8], now: i64) -> Result<(), SignatureError> {
        let secrets: Vec<Secret> = secrets.iter().map(|s| Secret::from(*s)).collect();
        verify_signature(&secrets, header, body, now, SIGNATURE_TOLERANCE)
    }

    #[test]
    fn the_digest_is_the_one_that_openssl_computes() {
        // printf '%s' '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let known = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        let header = sign(&["whsec_test".into()], 1_700_000_000, BODY);
        assert_eq!(header, format!("t=1700000000,v1={known}"));
    }

    #[test]
    fn a_good_signature_is_accepted_up_to_the_tolerance() {
        let header = sign(&["s".into()], 1000, BODY);
        assert_eq!(verify(&["s"], &header, BODY, 1000), Ok(()));
        assert_eq!(verify(&["s"], &header, BODY, 1300), Ok(()));
        assert_eq!(verify(&["s"], &header, BODY, 700), Ok(()));
    }

    #[test]
    fn an_old_or_future_signature_is_stale() {
        let header = sign(&["s".into()], 1000, BODY);
        for now in [1301, 699, i64::MIN, i64::MAX] {
            assert_eq!(verify(&["s"], &header, BODY, now), Err(SignatureError::Stale));
        }
    }

    #[test]
    fn a_changed_body_time_or_secret_does_not_fit() {
        let header = sign(&["s".into()], 1000, BODY);
        let moved = header.replace("t=1000", "t=1001");
        for (secret, header, body) in
            [("s", header.as_str(), &b"{}"[..]), ("s", &moved, BODY), ("other", &header, BODY)]
        {
            assert_eq!(verify(&[secret], header, body, 1000), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn a_rotated_secret_is_accepted_on_either_side() {
        let both = sign(&["old".into(), "new".into()], 1000, BODY);
        assert_eq!(verify(&["new"], &both, BODY, 1000), Ok(()));
        let old_only = sign(&["old".into()], 1000, BODY);
        assert_eq!(verify(&["new", "old"], &old_only, BODY, 1000), Ok(()));
    }

    #[test]
    fn a_detached_signature_is_held_to_the_same_rules() {
        let both = sign_detached(&["old".into(), "new".into()], 1000, BODY);
        let verify = |secret: &str, timestamp: &str, signature: &str, now| {
            verify_detached(&[Secret::from(secret)], (timestamp, signature), BODY, now)
        };
        assert_eq!(verify("new", "1000", &both, 1000), Ok(()));
        assert_eq!(verify("new", "1000", &both, 1301), Err(SignatureError::Stale));
        assert_eq!(verify("new", "1001", &both, 1001), Err(SignatureError::Mismatch));
        assert_eq!(verify("other", "1000", &both, 1000), Err(SignatureError::Mismatch));
        assert_eq!(verify("new", "", &both, 1000), Err(SignatureError::Malformed));
        assert_eq!(verify("new", "1000", "", 1000), Err(SignatureError::Malformed));
        assert_eq!(verify("new", "1,v1=00", "00", 1), Err(SignatureError::Malformed));
    }

    #[test]
    fn headers_that_make_no_sense_are_malformed() {
        for header in ["", "t=1000", "v1=00", "t=x,v1=00", "t=1000,v0=00", "t=1000,v1=zz", ",,=,"] {
            assert_eq!(verify(&["s"], header, BODY, 1000), Err(SignatureError::Malformed), "{header}");
        }
        assert_eq!(verify(&["s"], "t=1000,v1=", BODY, 1000), Err(SignatureError::Mismatch));
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        let header = sign(&["".into()], 1000, BODY);
        assert_eq!(verify(&[""], &header, BODY, 1000), Err(SignatureError::NoSecret));
        assert_eq!(verify(&[], &header, BODY, 1000), Err(SignatureError::NoSecret));
    }
}
