//! Request bodies and parameters of the shop's routes. As in `wire`, what is not known is refused.

use serde::Deserialize;

use crate::{
    engine::Time,
    orders::{
        CancelOrder, Delivery, Fulfilment, NewDelivery, OrderFilter, Payment, PlaceOrder, PutItem, Wanted,
        state::CancelBy,
    },
};

/// `POST /v1/orders`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceBody {
    customer_id: String,
    items: Vec<WantedBody>,
    currency: Option<String>,
    payment: PaymentBody,
    delivery: Option<DeliveryBody>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedBody {
    sku: String,
    quantity: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentBody {
    token: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryBody {
    address: String,
    /// Degrees; with `lon`.
    lat: Option<f64>,
    /// Degrees; with `lat`.
    lon: Option<f64>,
    /// None: as soon as may be.
    at: Option<Time>,
}

impl PlaceBody {
    /// The shop's request.
    pub(super) fn request(self) -> PlaceOrder {
        let wanted = |item: WantedBody| Wanted { sku: item.sku, quantity: item.quantity };
        let delivery = |to: DeliveryBody| Delivery { address: to.address, lat: to.lat, lon: to.lon, at: to.at };
        PlaceOrder {
            customer_id: self.customer_id,
            items: self.items.into_iter().map(wanted).collect(),
            currency: self.currency,
            payment: Payment { token: self.payment.token },
            delivery: self.delivery.map(delivery),
        }
    }
}

/// `GET /v1/orders`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderParams {
    customer_id: String,
    limit: Option<u32>,
    cursor: Option<String>,
}

impl OrderParams {
    /// The shop's filter.
    pub(super) fn filter(self) -> OrderFilter {
        OrderFilter { customer_id: self.customer_id, limit: self.limit, cursor: self.cursor }
    }
}

/// `POST /v1/orders/{id}/cancel`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CancelBody {
    reason: Option<String>,
    by: Option<CancelBy>,
}

impl CancelBody {
    /// The shop's request.
    pub(super) fn request(self) -> CancelOrder {
        CancelOrder { reason: self.reason, by: self.by }
    }
}

/// `PATCH /v1/orders/{id}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    delivery: NewDeliveryBody,
}

/// What is left out stays as it is; a new address without a position has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDeliveryBody {
    address: Option<String>,
    lat: Option<f64>,
    lon: Option<f64>,
    at: Option<Time>,
}

impl ChangeBody {
    /// The shop's request.
    pub(super) fn request(self) -> NewDelivery {
        let NewDeliveryBody { address, lat, lon, at } = self.delivery;
        NewDelivery { address, lat, lon, at }
    }
}

/// `POST /v1/orders/{id}/fulfilment`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FulfilmentBody {
    pub(super) state: Fulfilment,
}

/// `PUT /v1/items/{sku}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemBody {
    name: String,
    /// Minor units.
    price: i64,
    /// ISO code.
    currency: String,
    on_hand: i64,
}

impl ItemBody {
    /// The shop's request.
    pub(super) fn request(self) -> PutItem {
        PutItem { name: self.name, price: self.price, currency: self.currency, on_hand: self.on_hand }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::extract::parse, *};

    #[test]
    fn an_order_with_an_unknown_or_missing_field_is_refused() {
        let whole = r#"{"customer_id":"c","items":[{"sku":"a","quantity":1}],"payment":{"token":"t"}}"#;
        assert!(parse::<PlaceBody>(whole.as_bytes()).is_ok());
        for bad in [
            whole.replace("\"token\"", "\"card\""),
            whole.replace("\"quantity\":1", "\"quantity\":1.5"),
            whole.replace("\"quantity\":1", "\"quantity\":1,\"price\":0"),
            whole.replace("\"customer_id\":\"c\",", ""),
        ] {
            assert_eq!(
                parse::<PlaceBody>(bad.as_bytes()).map_err(|p| p.code()).err(),
                Some("invalid_request"),
                "{bad}"
            );
        }
    }

    #[test]
    fn who_cancels_is_one_of_three() {
        let by = |text: &str| parse::<CancelBody>(text.as_bytes()).map(|body| body.request().by).ok();
        assert_eq!(by(r#"{"by":"seller"}"#), Some(Some(CancelBy::Seller)));
        assert_eq!(by("{}"), Some(None));
        assert_eq!(by(r#"{"by":"nobody"}"#), None);
    }
}
