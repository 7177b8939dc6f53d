//! Placing: what a request has to say, and the order that it becomes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Orders;
#[cfg(feature = "server")]
use crate::orders::delivery::DeliveryAddress;
use crate::{
    engine::{Time, check::check_filled},
    orders::{
        changes::Changes,
        delivery::{self, Delivery},
        error::Error,
        money,
        notices::Contact,
        order::{Item, Line, Order},
        runs::Source,
        state::{OrderState, PaymentState, StockState},
    },
    payments::{Vendor, choice},
};

/// The longest key of an item.
pub(super) const LONGEST_SKU: usize = 64;
/// The longest id of a customer.
pub(super) const LONGEST_CUSTOMER: usize = 128;
const MOST_LINES: usize = 100;
const MOST_UNITS: i64 = 100_000;
/// Gateways accept eight digits; more is a typing error or an attack.
const LARGEST_TOTAL: i64 = 99_999_999_999;

/// A request to place an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// The customer who orders.
    #[cfg_attr(feature = "server", schema(max_length = 128, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "c1"))]
    pub customer_id: String,
    /// The items; lines of the same item are added up.
    #[cfg_attr(feature = "server", schema(min_items = 1, max_items = 100))]
    pub items: Vec<Wanted>,
    /// ISO code; by default the items'.
    #[cfg_attr(feature = "server", schema(pattern = "^[A-Za-z]{3}$", example = "EUR"))]
    #[serde(default)]
    pub currency: Option<String>,
    /// The payment.
    pub payment: Payment,
    /// The delivery.
    #[cfg_attr(feature = "server", schema(value_type = Option<DeliveryAddress>))]
    #[serde(default, deserialize_with = "delivery::read_strictly")]
    pub delivery: Option<Delivery>,
    /// Where the customer wants to be told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
}

/// One item of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = WantedItem))]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The item.
    #[cfg_attr(feature = "server", schema(example = "apple"))]
    pub sku: String,
    /// Units.
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 100_000, example = 2))]
    pub quantity: i64,
}

/// The payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = PaymentToken))]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The payment method's token, from the first vendor.
    #[cfg_attr(
        feature = "server",
        schema(max_length = 255, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "tok_ok")
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Tokens by vendor, of several. A vendor without a token is skipped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, String>,
}

impl Payment {
    /// With a token of the first vendor.
    pub fn of(token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), tokens: BTreeMap::new() }
    }
}

/// An order to be placed, whose request is checked.
#[derive(Clone)]
pub(super) struct NewOrder {
    pub(super) request: PlaceOrder,
    /// With the request's hash.
    pub(super) key: Option<(String, Vec<u8>)>,
    pub(super) id: Uuid,
    pub(super) run_id: Uuid,
    pub(super) sources: Vec<Source>,
    pub(super) traceparent: Option<String>,
}

/// An accepted order, from this or an earlier request with the same key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placed {
    /// The order.
    pub order: Order,
    /// False if an earlier request with this key created the order.
    pub created: bool,
}

impl Orders {
    /// What is to be placed, once its request is checked.
    pub(super) fn new_order(
        &self,
        request: &PlaceOrder,
        key: Option<&str>,
        traceparent: Option<String>,
    ) -> Result<NewOrder, Error> {
        self.check(request, key)?;
        let id = Uuid::now_v7();
        let sources = self.sources(id, &request.payment)?;
        let key = key.map(|key| Ok::<_, Error>((key.to_owned(), hash(request)?))).transpose()?;
        Ok(NewOrder { request: request.clone(), key, id, run_id: Uuid::now_v7(), sources, traceparent })
    }

    fn check(&self, request: &PlaceOrder, key: Option<&str>) -> Result<(), Error> {
        within("customer_id", &request.customer_id, LONGEST_CUSTOMER)?;
        if let Some(key) = key {
            within("the idempotency key", key, 255)?;
        }
        request.contact.as_ref().map_or(Ok(()), Contact::check)?;
        if request.items.is_empty() || request.items.len() > MOST_LINES {
            let message = format!("{} lines; an order has 1 to {MOST_LINES}", request.items.len());
            return Err(Error::InvalidRequest(message));
        }
        for (line, wanted) in request.items.iter().enumerate() {
            within(&format!("items[{line}].sku"), &wanted.sku, LONGEST_SKU)?;
        }
        if let Some(wrong) = request.items.iter().find(|wanted| !(1..=MOST_UNITS).contains(&wanted.quantity)) {
            let message = format!("{} units of {}; a line has 1 to {MOST_UNITS}", wrong.quantity, wrong.sku);
            return Err(Error::InvalidRequest(message));
        }
        for wanted in &request.items {
            let lines = request.items.iter().filter(|line| line.sku == wanted.sku);
            let units: i64 = lines.map(|line| line.quantity).sum();
            if units > MOST_UNITS {
                let message = format!("{units} units of {}; an order has up to {MOST_UNITS} of an item", wanted.sku);
                return Err(Error::InvalidRequest(message));
            }
        }
        match &request.delivery {
            Some(delivery) => delivery.check(self.settings.store(), self.settings.delivery_radius_km),
            None => Ok(()),
        }
    }

    /// Where the order may be paid, with a token for each, in the order in which they are tried. What this depends on is
    /// recorded with it: the settings may be others later.
    fn sources(&self, order: Uuid, payment: &Payment) -> Result<Vec<Source>, Error> {
        for (vendor, token) in &payment.tokens {
            within(&format!("payment.tokens.{vendor}"), token, 255)?;
            if !self.vendors.iter().any(|known| known.name == *vendor) {
                return Err(Error::InvalidRequest(format!("payment.tokens: there is no vendor {vendor:?}")));
            }
        }
        if let Some(token) = &payment.token {
            within("payment.token", token, 255)?;
        }
        let first = self.vendors.first().map(|vendor| vendor.name.as_str());
        let token_of = |vendor: &Vendor| {
            let own = payment.tokens.get(&vendor.name);
            own.or_else(|| payment.token.as_ref().filter(|_| first == Some(&vendor.name)))
        };
        let able: Vec<(&Vendor, &String)> =
            self.vendors.iter().filter_map(|vendor| Some((vendor, token_of(vendor)?))).collect();
        let weights: Vec<u32> = able.iter().map(|(vendor, _)| vendor.weight).collect();
        let source = |place: usize| {
            let (vendor, token) = able.get(place)?;
            Some(Source { vendor: vendor.name.clone(), token: (*token).clone() })
        };
        let sources: Vec<Source> = choice::order_of(order, &weights).into_iter().filter_map(source).collect();
        if sources.is_empty() {
            return Err(Error::InvalidRequest("payment has no token".to_owned()));
        }
        Ok(sources)
    }

    /// The order at present prices, which are the ones charged.
    pub(super) fn priced(&self, new: &NewOrder, items: &[Item]) -> Result<Order, Error> {
        let request = &new.request;
        let mut wanted: BTreeMap<&str, i64> = BTreeMap::new();
        for line in &request.items {
            *wanted.entry(&line.sku).or_default() += line.quantity;
        }
        let mut currency = request.currency.as_ref().map(|currency| currency.to_ascii_uppercase());
        let mut lines = Vec::with_capacity(wanted.len());
        for (sku, quantity) in wanted {
            let item = items.iter().find(|item| item.sku == sku);
            let item = item.ok_or_else(|| Error::UnknownItem(sku.to_owned()))?;
            let common = currency.get_or_insert_with(|| item.currency.clone());
            if *common != item.currency {
                let (found, wanted) = (item.currency.clone(), common.clone());
                return Err(Error::CurrencyMismatch { sku: item.sku.clone(), found, wanted });
            }
            lines.push(Line { sku: item.sku.clone(), quantity, price: item.price });
        }
        let total = money::total(lines.iter().map(|line| (line.price, line.quantity)));
        let total = total.filter(|total| *total <= LARGEST_TOTAL).ok_or(Error::PriceOverflow)?;
        if total == 0 {
            return Err(Error::InvalidRequest("the order's total is 0, which can't be charged".to_owned()));
        }
        Ok(Order {
            id: new.id,
            run_id: new.run_id,
            customer_id: request.customer_id.clone(),
            state: OrderState::Created,
            cancel_reason: None,
            payment_state: PaymentState::None,
            stock_state: StockState::None,
            items: lines,
            total,
            refunded: 0,
            currency: currency.unwrap_or_default(),
            placed_at: None,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
            archived: false,
            captured: 0,
            intent_id: None,
            delivery: request.delivery.clone(),
            cancel: None,
            refund_tiers: self.settings.refund_tiers.to_string(),
            dispatched_at: None,
            delivered_at: None,
            changes: Changes::default(),
        })
    }
}

/// Checks that a text is neither empty nor too long.
pub(super) fn within(what: &str, text: &str, most: usize) -> Result<(), Error> {
    Ok(check_filled(what, text, most)?)
}

/// What two requests with one key are compared by: the request itself, nothing derived from it.
fn hash(request: &PlaceOrder) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_vec(request).map_err(|error| Error::InvalidRequest(error.to_string()))?;
    Ok(Sha256::digest(text).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_or_missing_field_is_refused() {
        let whole = r#"{"customer_id":"c","items":[{"sku":"a","quantity":1}],"payment":{"token":"t"}}"#;
        assert!(serde_json::from_str::<PlaceOrder>(whole).is_ok());
        for bad in [
            whole.replace("\"token\"", "\"card\""),
            whole.replace("\"quantity\":1", "\"quantity\":1.5"),
            whole.replace("\"quantity\":1", "\"quantity\":1,\"price\":0"),
            whole.replace("\"customer_id\":\"c\",", ""),
            whole.replace("\"items\"", "\"delivery\":{\"address\":\"a\",\"zip\":1},\"items\""),
        ] {
            assert!(serde_json::from_str::<PlaceOrder>(&bad).is_err(), "{bad}");
        }
    }
}
