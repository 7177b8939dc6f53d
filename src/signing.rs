//! Signatures of webhooks, as Standard Webhooks has them: of those that we send, and of those that come.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Secret;

/// How a secret of Standard Webhooks begins: the rest is base64.
const STANDARD_SECRET: &str = "whsec_";

/// What `webhook-signature` says of a body that we send, behind its `v1,`. None: the secret can't be read.
#[cfg(any(feature = "cli", feature = "shop"))]
pub(crate) fn sign(secret: &Secret, id: &str, at: &str, body: &[u8]) -> Option<String> {
    Some(STANDARD.encode(digest(&key_of(secret)?, &format!("{id}.{at}."), body)))
}

/// The bytes of a secret; none where it is not what it says.
pub(crate) fn key_of(secret: &Secret) -> Option<Vec<u8>> {
    match secret.expose().strip_prefix(STANDARD_SECRET) {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(secret.expose().as_bytes().to_vec()),
    }
}

/// HMAC-SHA256 of a prefix and a body.
pub(crate) fn digest(key: &[u8], prefix: &str, body: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(prefix.as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}
