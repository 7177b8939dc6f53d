//! How webhooks are signed, in the three ways that are common.
//!
//! Promises: comparison takes constant time; several secrets are allowed, so that one can be changed without a gap; where the
//! scheme has a time, a signature that is older (or farther in the future) than five minutes is refused. A repetition within
//! that time, or of a scheme without one, is caught by the event's id.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::Webhook;
use crate::signing::{digest, key_of};

/// How old a signature may be, in seconds.
const TOLERANCE_S: u64 = 300;
/// How many signatures of one header are checked.
const MOST_CANDIDATES: usize = 8;

/// What is signed, and where the signature stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Standard Webhooks: `webhook-signature: v1,<base64 HMAC-SHA256 of "id.timestamp.body">`, with `webhook-id` and
    /// `webhook-timestamp`.
    #[default]
    Standard,
    /// `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`, as Stripe signs.
    Timestamped,
    /// `sha256=<hex HMAC-SHA256 of the body>`, as GitHub signs. It has no time.
    Body,
}

/// Why a signature is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing or can't be read.
    #[error("the signature can't be read")]
    Malformed,
    /// The time is outside the tolerance.
    #[error("the signature is too old or too far in the future")]
    Stale,
    /// No signature matches any secret.
    #[error("the signature does not match the body")]
    Mismatch,
}

impl BadSignature {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "signature_malformed",
            Self::Stale => "signature_stale",
            Self::Mismatch => "signature_mismatch",
        }
    }
}

/// A signature as it came: the time that it is for, what is signed before the body, and candidates.
struct Signature {
    at: Option<i64>,
    prefix: String,
    candidates: Vec<Vec<u8>>,
}

impl Webhook {
    /// Checks a body, as it came off the wire, against the headers that came with it. `now` is in Unix seconds.
    ///
    /// # Errors
    /// See [`BadSignature`].
    pub fn verify<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now: i64,
    ) -> Result<(), BadSignature> {
        let Signature { at, prefix, candidates } = self.read(header).ok_or(BadSignature::Malformed)?;
        let mut fits = Choice::from(0);
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            let expected = digest(&key_of(secret).ok_or(BadSignature::Malformed)?, &prefix, body);
            for candidate in candidates.iter().take(MOST_CANDIDATES) {
                fits |= expected.as_slice().ct_eq(candidate);
            }
        }
        if !bool::from(fits) {
            return Err(BadSignature::Mismatch);
        }
        // After the signature, so that the answer tells a forger nothing about our clock.
        if at.is_some_and(|at| now.abs_diff(at) > TOLERANCE_S) { Err(BadSignature::Stale) } else { Ok(()) }
    }

    pub(super) fn has_readable_secrets(&self) -> bool {
        self.secrets.iter().all(|secret| key_of(secret).is_some())
    }

    fn read<'a>(&self, header: impl Fn(&str) -> Option<&'a str>) -> Option<Signature> {
        let text = |usual: &str| header(self.header.as_deref().unwrap_or(usual));
        match self.scheme {
            Scheme::Standard => {
                let (id, at) = (header("webhook-id")?, header("webhook-timestamp")?);
                let signatures = text("webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
                let candidates = signatures.filter_map(|one| STANDARD.decode(one).ok()).collect();
                Some(Signature { at: Some(at.parse().ok()?), prefix: format!("{id}.{at}."), candidates })
            }
            Scheme::Timestamped => {
                let parts = || text("stripe-signature").into_iter().flat_map(|text| text.split(','));
                let named = |name: &'static str| parts().filter_map(move |part| part.trim().strip_prefix(name));
                let at: i64 = named("t=").next()?.parse().ok()?;
                let candidates = named("v1=").filter_map(|one| hex::decode(one).ok()).collect();
                Some(Signature { at: Some(at), prefix: format!("{at}."), candidates })
            }
            Scheme::Body => {
                let signature = hex::decode(text("x-hub-signature-256")?.strip_prefix("sha256=")?).ok()?;
                Some(Signature { at: None, prefix: String::new(), candidates: vec![signature] })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Secret;

    const NOW: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn webhook(scheme: Scheme, secret: &str) -> Webhook {
        Webhook { scheme, header: None, secrets: vec![Secret::from("another"), Secret::from(secret)] }
    }

    fn verify(webhook: &Webhook, headers: &[(&str, &str)], body: &[u8], now: i64) -> Result<(), BadSignature> {
        let headers: HashMap<&str, &str> = headers.iter().copied().collect();
        webhook.verify(|name| headers.get(name).copied(), body, now)
    }

    /// The example of the specification's reference libraries.
    #[test]
    fn a_standard_webhook_is_verified() {
        let webhook = webhook(Scheme::Standard, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = |signature| {
            [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", signature),
            ]
        };
        let good = signed("v1,xxxx v2,abc v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(verify(&webhook, &good, BODY, NOW), Ok(()));
        assert_eq!(verify(&webhook, &good, b"{}", NOW), Err(BadSignature::Mismatch));
        assert_eq!(verify(&webhook, &good, BODY, NOW + 301), Err(BadSignature::Stale));
        assert_eq!(verify(&webhook, &good, BODY, NOW - 301), Err(BadSignature::Stale));
        assert_eq!(verify(&webhook, &good[1..], BODY, NOW), Err(BadSignature::Malformed));
        assert_eq!(verify(&webhook, &signed("g0hM"), BODY, NOW), Err(BadSignature::Mismatch));
    }

    #[test]
    fn a_timestamped_webhook_is_verified() {
        let webhook = webhook(Scheme::Timestamped, "s3cret");
        let signature = hex::encode(digest(b"s3cret", "1614265330.", BODY));
        let signed = |header: &str| verify(&webhook, &[("stripe-signature", header)], BODY, NOW + 10);
        assert_eq!(signed(&format!("t=1614265330,v1=00,v1={signature}")), Ok(()));
        assert_eq!(signed(&format!("t=1614265331,v1={signature}")), Err(BadSignature::Mismatch));
        assert_eq!(signed(&format!("v1={signature}")), Err(BadSignature::Malformed));
        let own = Webhook { header: Some("x-sign".to_owned()), ..webhook.clone() };
        assert_eq!(verify(&own, &[("x-sign", &format!("t=1614265330,v1={signature}"))], BODY, NOW), Ok(()));
        assert_eq!(verify(&own, &[], BODY, NOW), Err(BadSignature::Malformed));
    }

    /// The example of GitHub's documentation.
    #[test]
    fn a_signed_body_is_verified() {
        let webhook = webhook(Scheme::Body, "It's a Secret to Everybody");
        let signed = |header: &str| verify(&webhook, &[("x-hub-signature-256", header)], b"Hello, World!", NOW);
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signed(good), Ok(()));
        assert_eq!(signed(&good.replace("75", "76")), Err(BadSignature::Mismatch));
        assert_eq!(signed("sha1=757107ea"), Err(BadSignature::Malformed));
    }
}
