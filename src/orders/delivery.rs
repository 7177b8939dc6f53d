//! Delivery: the address, and its distance from the store. Pure.

use serde::{Deserialize, Deserializer, Serialize};

use super::error::Error;
use crate::engine::{
    Time,
    check::{check_filled, check_time},
};

const EARTH_RADIUS_KM: f64 = 6371.0088;
const LONGEST_ADDRESS: usize = 500;

/// A point on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Latitude, north positive.
    pub lat: f64,
    /// Longitude, east positive.
    pub lon: f64,
}

/// Where and when to deliver an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// The address as free text.
    pub address: String,
    /// Latitude, if it is known; then `lon` is too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    /// Longitude, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
    /// When; none: as soon as possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A delivery as a request states it: a field that is not known is refused, where reading an order tolerates it.
#[derive(Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryAddress {
    /// The address as free text.
    #[cfg_attr(
        feature = "server",
        schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "1 Main Street")
    )]
    address: String,
    /// Degrees; with `lon`.
    #[cfg_attr(feature = "server", schema(minimum = -90, maximum = 90))]
    lat: Option<f64>,
    /// Degrees; with `lat`.
    #[cfg_attr(feature = "server", schema(minimum = -180, maximum = 180))]
    lon: Option<f64>,
    /// None: as soon as may be.
    at: Option<Time>,
}

/// Reads a delivery out of a request.
pub(super) fn read_strictly<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Delivery>, D::Error> {
    let stated = Option::<DeliveryAddress>::deserialize(from)?;
    Ok(stated.map(|DeliveryAddress { address, lat, lon, at }| Delivery { address, lat, lon, at }))
}

impl Delivery {
    /// Checks the address, and the distance from `store` if both positions are known.
    ///
    /// # Errors
    /// `invalid_request`; `delivery_too_far`.
    pub fn check(&self, store: Option<Position>, radius_km: f64) -> Result<(), Error> {
        check_filled("delivery.address", &self.address, LONGEST_ADDRESS)?;
        self.at.map_or(Ok(()), |at| check_time("delivery.at", at))?;
        let position = match (self.lat, self.lon) {
            (None, None) => return Ok(()),
            (Some(lat), Some(lon)) if lat.abs() <= 90.0 && lon.abs() <= 180.0 => Position { lat, lon },
            (Some(_), Some(_)) => return Err(Error::InvalidRequest("delivery.lat or lon is out of range".into())),
            _ => return Err(Error::InvalidRequest("delivery.lat and delivery.lon must be given together".into())),
        };
        match store.map(|store| distance_km(store, position)) {
            Some(km) if km > radius_km => Err(Error::DeliveryTooFar { km, limit_km: radius_km }),
            _ => Ok(()),
        }
    }
}

/// The great-circle distance (haversine), accurate to half a per cent.
pub fn distance_km(a: Position, b: Position) -> f64 {
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.lon - a.lon).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: Position = Position { lat: 52.52, lon: 13.405 };

    fn to(lat: f64, lon: f64) -> Delivery {
        Delivery { address: "1 Main Street".into(), lat: Some(lat), lon: Some(lon), at: None }
    }

    #[test]
    fn a_degree_of_latitude_is_111_kilometres() {
        let km = distance_km(STORE, Position { lat: STORE.lat + 1.0, ..STORE });
        assert!((km - 111.2).abs() < 0.1, "{km}");
        let across = distance_km(Position { lat: 0.0, lon: 179.5 }, Position { lat: 0.0, lon: -179.5 });
        assert!((across - 111.2).abs() < 0.1, "{across}");
    }

    #[test]
    fn only_known_positions_outside_the_radius_are_refused() {
        assert!(to(52.56, 13.405).check(Some(STORE), 5.0).is_ok());
        let far = to(52.57, 13.405).check(Some(STORE), 5.0);
        assert_eq!(far.map_err(|error| error.code()), Err("delivery_too_far"));
        assert!(to(0.0, 0.0).check(None, 5.0).is_ok());
        let unknown = Delivery { lat: None, lon: None, ..to(0.0, 0.0) };
        assert!(unknown.check(Some(STORE), 5.0).is_ok());
    }

    #[test]
    fn half_a_position_and_an_empty_address_are_refused() {
        let store = Some(STORE);
        let half = Delivery { lon: None, ..to(52.52, 13.4) };
        let silent = Delivery { address: "  ".into(), ..to(52.52, 13.4) };
        for wrong in [half, silent, to(91.0, 0.0), to(f64::NAN, 0.0)] {
            assert_eq!(wrong.check(store, 5.0).map_err(|error| error.code()), Err("invalid_request"), "{wrong:?}");
        }
    }
}
