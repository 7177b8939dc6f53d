//! The shop's settings: environment variables, each with a flag of the same meaning.
//!
//! Payment window and refund tiers are copied into the order and its run when it is placed, so a later change of
//! settings does not affect existing orders.

use std::time::Duration;

use super::{delivery::Position, refund::RefundTiers};

/// How orders are handled.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct ShopSettings {
    /// How long an order waits for its payment
    #[cfg_attr(feature = "cli", arg(long, env = "BACKSTITCH_PAYMENT_WINDOW", default_value = "10m", value_parser = payment_window))]
    pub payment_window: Duration,
    /// Refund percentage for a customer who cancels, by order age
    #[cfg_attr(feature = "cli", arg(long, env = "BACKSTITCH_REFUND_TIERS", default_value = "10m:70,30m:40"))]
    pub refund_tiers: RefundTiers,
    /// Most orders of a customer that are neither delivered nor cancelled; more are refused
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", env = "BACKSTITCH_ORDERS_IN_FLIGHT", value_parser = clap::value_parser!(u32).range(1..)))]
    pub orders_in_flight: Option<u32>,
    /// Delivery radius in km
    #[cfg_attr(feature = "cli", arg(long, env = "BACKSTITCH_DELIVERY_RADIUS_KM", default_value_t = 5.0, value_parser = radius))]
    pub delivery_radius_km: f64,
    /// The store's latitude in degrees; without it, distances are not checked
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "BACKSTITCH_STORE_LAT", allow_negative_numbers = true, value_parser = latitude, requires = "store_lon")
    )]
    pub store_lat: Option<f64>,
    /// The store's longitude in degrees
    #[cfg_attr(
        feature = "cli",
        arg(long, env = "BACKSTITCH_STORE_LON", allow_negative_numbers = true, value_parser = longitude, requires = "store_lat")
    )]
    pub store_lon: Option<f64>,
}

#[cfg(feature = "cli")]
fn radius(text: &str) -> Result<f64, String> {
    number(text, 0.0, 20_100.0)
}

#[cfg(feature = "cli")]
fn latitude(text: &str) -> Result<f64, String> {
    number(text, -90.0, 90.0)
}

#[cfg(feature = "cli")]
fn longitude(text: &str) -> Result<f64, String> {
    number(text, -180.0, 180.0)
}

/// A number between these two; what is no number at all (NaN) would be within any distance.
#[cfg(feature = "cli")]
fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let read = text.parse().ok().filter(|number| (least..=most).contains(number));
    read.ok_or_else(|| format!("a number from {least} to {most}"))
}

#[cfg(feature = "cli")]
fn payment_window(text: &str) -> Result<Duration, String> {
    let read = humantime::parse_duration(text).ok();
    let read = read.filter(|span| (Duration::from_secs(1)..=Duration::from_hours(366 * 24)).contains(span));
    read.ok_or_else(|| "a duration from 1s to 366d, such as 10m".to_owned())
}

impl ShopSettings {
    /// The store's position, if set.
    pub fn store(&self) -> Option<Position> {
        Some(Position { lat: self.store_lat?, lon: self.store_lon? })
    }
}

impl Default for ShopSettings {
    fn default() -> Self {
        Self {
            payment_window: Duration::from_secs(600),
            refund_tiers: default_tiers(),
            orders_in_flight: None,
            delivery_radius_km: 5.0,
            store_lat: None,
            store_lon: None,
        }
    }
}

fn default_tiers() -> RefundTiers {
    // The text is a constant, and the test below reads it.
    "10m:70,30m:40".parse().unwrap_or_default()
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        shop: ShopSettings,
    }

    #[test]
    fn the_defaults_are_those_of_the_flags() {
        let flags = Cli::parse_from(["x"]).shop;
        let defaults = ShopSettings::default();
        assert_eq!(flags.payment_window, defaults.payment_window);
        assert_eq!(flags.refund_tiers, defaults.refund_tiers);
        assert_eq!(flags.refund_tiers.tiers().len(), 2);
        assert!(flags.store().is_none() && flags.delivery_radius_km == defaults.delivery_radius_km);
    }

    #[test]
    fn a_store_in_the_south_can_be_set() {
        let shop = Cli::parse_from(["x", "--store-lat", "-33.9", "--store-lon", "18.4"]).shop;
        assert_eq!(shop.store(), Some(Position { lat: -33.9, lon: 18.4 }));
    }
}
