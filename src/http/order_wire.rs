//! Request bodies and parameters of the shop's routes. As in `wire`, what is not known is refused.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    engine::Time,
    orders::{
        CancelOrder, Delivery, Fulfilment, NewDelivery, OrderFilter, Payment, PlaceOrder, PutItem, Wanted,
        state::CancelBy,
    },
};

/// `POST /v1/orders`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlaceOrder)]
pub(super) struct PlaceBody {
    /// Whose order it is.
    #[schema(max_length = 128, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "c1")]
    customer_id: String,
    /// What is ordered.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<WantedBody>,
    /// ISO code; may be left out: then it is the items'.
    #[schema(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    currency: Option<String>,
    /// How it is paid.
    payment: PaymentBody,
    /// Where it goes.
    delivery: Option<DeliveryBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedItem)]
struct WantedBody {
    /// The item.
    #[schema(example = "apple")]
    sku: String,
    /// Units.
    #[schema(minimum = 1, maximum = 100_000, example = 2)]
    quantity: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentToken)]
struct PaymentBody {
    /// The gateway's token for a means of payment.
    #[schema(max_length = 255, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "tok_ok")]
    token: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeliveryAddress)]
struct DeliveryBody {
    /// For people.
    #[schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "1 Main Street")]
    address: String,
    /// Degrees; with `lon`.
    #[schema(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Degrees; with `lat`.
    #[schema(minimum = -180, maximum = 180)]
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
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderParams {
    /// Whose orders.
    customer_id: String,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl OrderParams {
    /// The shop's filter.
    pub(super) fn filter(self) -> OrderFilter {
        OrderFilter { customer_id: self.customer_id, limit: self.limit, cursor: self.cursor }
    }
}

/// `POST /v1/orders/{id}/cancel`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = CancelOrder)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CancelBody {
    /// Why, in the asker's words.
    #[schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    reason: Option<String>,
    /// Who asks; the customer unless said.
    by: Option<CancelBy>,
}

impl CancelBody {
    /// The shop's request.
    pub(super) fn request(self) -> CancelOrder {
        CancelOrder { reason: self.reason, by: self.by }
    }
}

/// `PATCH /v1/orders/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeOrder)]
pub(super) struct ChangeBody {
    /// The new delivery.
    delivery: NewDeliveryBody,
}

/// What is left out stays as it is; a new address without a position has none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDelivery)]
struct NewDeliveryBody {
    /// For people.
    #[schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    address: Option<String>,
    /// Degrees; with `lon`.
    #[schema(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Degrees; with `lat`.
    #[schema(minimum = -180, maximum = 180)]
    lon: Option<f64>,
    /// When.
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FulfilmentReport)]
pub(super) struct FulfilmentBody {
    /// What has happened.
    pub(super) state: Fulfilment,
}

/// `PUT /v1/items/{sku}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutItem)]
pub(super) struct ItemBody {
    /// For people.
    #[schema(max_length = 200, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "Apple")]
    name: String,
    /// Minor units for one.
    #[schema(minimum = 0, example = 250)]
    price: i64,
    /// ISO code.
    #[schema(pattern = "^[A-Za-z]{3}$", example = "EUR")]
    currency: String,
    /// Units in the house, those that orders hold included.
    #[schema(minimum = 0, example = 100)]
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
