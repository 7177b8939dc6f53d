//! Kinds of vendors, and the settings of those that a shop has.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::{AcquirerGateway, PaymentGateway, StripeGateway, error::SetupError, http::GatewayConfig};
use crate::Secret;

/// The vendor to which payments without a vendor's name belong: all that are older than the second vendor.
pub const FIRST_VENDOR: &str = "stripe";

/// Vendors that a shop may have.
const MOST_VENDORS: usize = 16;
const LONGEST_NAME: usize = 32;
const LARGEST_WEIGHT: u32 = 1_000;

/// What a vendor speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum VendorKind {
    /// Stripe's API.
    #[default]
    Stripe,
    /// Authorises and captures apart; see [`AcquirerGateway`].
    Acquirer,
}

/// One vendor of a shop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// Its name: in tokens, ids of payments and the webhook's route.
    pub name: String,
    /// What it speaks.
    pub kind: VendorKind,
    /// Its base URL.
    pub url: String,
    /// Its API key.
    pub key: Secret,
    /// What it signs its webhooks with, two during a rotation; they are refused without any.
    #[serde(default, rename = "webhook_secret", deserialize_with = "one_secret")]
    pub webhook_secrets: Vec<Secret>,
    /// How often it is the first choice, relative to the others; 0: only when others fail.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    Option::<Secret>::deserialize(from).map(|secret| secret.into_iter().collect())
}

const fn one() -> u32 {
    1
}

impl Vendor {
    /// A vendor of Stripe's kind with this name.
    pub fn stripe(name: impl Into<String>, url: impl Into<String>, key: impl Into<Secret>) -> Self {
        let (name, url, key) = (name.into(), url.into(), key.into());
        Self { name, kind: VendorKind::Stripe, url, key, webhook_secrets: Vec::new(), weight: one() }
    }

    /// A client of its API.
    ///
    /// # Errors
    /// When its URL or key is not usable.
    pub fn connect(
        &self,
        timeout: Duration,
        traceparent: Option<fn() -> Option<String>>,
    ) -> Result<std::sync::Arc<dyn PaymentGateway>, SetupError> {
        let config = GatewayConfig { timeout, traceparent, ..GatewayConfig::new(&*self.url, self.key.clone()) };
        Ok(match self.kind {
            VendorKind::Stripe => std::sync::Arc::new(StripeGateway::new(&config)?),
            VendorKind::Acquirer => std::sync::Arc::new(AcquirerGateway::new(&config)?),
        })
    }
}

/// The vendors of a shop, in their order: a JSON array.
#[derive(Clone, Debug)]
pub struct Vendors(pub Vec<Vendor>);

impl FromStr for Vendors {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text has keys: what is wrong is told without it.
        let vendors: Vec<Vendor> = serde_json::from_str(text)
            .map_err(|error| format!("no JSON array of vendors, at line {} column {}", error.line(), error.column()))?;
        if vendors.is_empty() || vendors.len() > MOST_VENDORS {
            return Err(format!("{} vendors; there have to be 1 to {MOST_VENDORS}", vendors.len()));
        }
        let mut names = BTreeSet::new();
        for vendor in &vendors {
            let name = &vendor.name;
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
                return Err(format!(
                    "{name:?} is no vendor's name: 1 to {LONGEST_NAME} lower-case letters, digits, - and _"
                ));
            }
            if !names.insert(name) {
                return Err(format!("{name} is there twice"));
            }
            if vendor.weight > LARGEST_WEIGHT {
                return Err(format!("{name}: the weight is {}; it has to be 0 to {LARGEST_WEIGHT}", vendor.weight));
            }
            vendor.connect(Duration::from_secs(1), None).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(Self(vendors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[{"name":"stripe","kind":"stripe","url":"http://h","key":"k1_hidden","weight":3},
        {"name":"north","kind":"acquirer","url":"http://i","key":"k2_hidden","webhook_secret":"s_hidden"}]"#;

    #[test]
    fn vendors_are_read_in_their_order_with_weights() {
        let Vendors(vendors) = GOOD.parse().expect("vendors");
        let read: Vec<_> = vendors.iter().map(|vendor| (&*vendor.name, vendor.kind, vendor.weight)).collect();
        assert_eq!(read, [("stripe", VendorKind::Stripe, 3), ("north", VendorKind::Acquirer, 1)]);
        assert!(!format!("{vendors:?}").contains("hidden"));
    }

    #[test]
    fn what_is_wrong_is_told_without_a_key() {
        for (from, to) in [
            ("stripe\",\"kind", "St ripe\",\"kind"),
            ("north", "stripe"),
            ("acquirer", "bank"),
            ("http://i", "ftp://i"),
            ("k2_hidden", ""),
            ("\"weight\":3", "\"weight\":1001"),
            ("\"weight\":3", "\"heavy\":3"),
            ("}]", "}"),
        ] {
            let error = GOOD.replace(from, to).parse::<Vendors>().expect_err(to);
            assert!(!error.contains("hidden"), "{error}");
        }
        assert!("[]".parse::<Vendors>().is_err());
    }
}
