//! Changes to a placed order: its delivery, until it is dispatched, and fulfilment's reports.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Orders, ended_is_wrong_state};
use crate::{
    engine::{AuditRecord, Time},
    orders::{
        delivery::Delivery,
        error::Error,
        order::Order,
        runs::News,
        state::{OrderState, Word},
        store,
    },
};

/// A report of fulfilment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    /// The order was dispatched.
    Shipped,
    /// The order was delivered.
    Delivered,
}

/// A report of fulfilment on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FulfilmentReport {
    /// The event.
    pub state: Fulfilment,
}

/// A change of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeOrder {
    /// The new delivery.
    pub delivery: NewDelivery,
}

/// Fields that are left out stay unchanged; a new address without a position has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDelivery {
    /// The address as free text.
    #[cfg_attr(feature = "server", schema(max_length = 500, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"))]
    #[serde(default)]
    pub address: Option<String>,
    /// Degrees; with `lon`.
    #[cfg_attr(feature = "server", schema(minimum = -90, maximum = 90))]
    #[serde(default)]
    pub lat: Option<f64>,
    /// Degrees; with `lat`.
    #[cfg_attr(feature = "server", schema(minimum = -180, maximum = 180))]
    #[serde(default)]
    pub lon: Option<f64>,
    /// When.
    #[serde(default)]
    pub at: Option<Time>,
}

impl NewDelivery {
    /// The fields that it changes.
    fn named(&self) -> Vec<&'static str> {
        let Self { address, lat, lon, at } = self;
        let given =
            [("address", address.is_some()), ("lat", lat.is_some()), ("lon", lon.is_some()), ("at", at.is_some())];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    fn over(&self, old: Option<Delivery>) -> Delivery {
        let old = old.unwrap_or_else(|| Delivery { address: String::new(), lat: None, lon: None, at: None });
        let moved = self.address.is_some() || self.lat.is_some() || self.lon.is_some();
        let (lat, lon) = if moved { (self.lat, self.lon) } else { (old.lat, old.lon) };
        Delivery { address: self.address.clone().unwrap_or(old.address), lat, lon, at: self.at.or(old.at) }
    }
}

impl Orders {
    /// Changes address or time of an order that is not dispatched yet.
    ///
    /// # Errors
    /// `unknown_order`, `invalid_request`, `delivery_too_far`; `wrong_state` for one that is dispatched or being
    /// cancelled.
    pub async fn change_delivery(&self, id: Uuid, change: &NewDelivery) -> Result<Order, Error> {
        let mut tx = self.engine.begin().await?;
        let mut order = store::orders::lock(&mut tx, id).await?.ok_or(Error::UnknownOrder(id))?;
        let open = matches!(
            order.state,
            OrderState::Created | OrderState::AwaitingPayment | OrderState::Placed | OrderState::Processing
        );
        if !open || order.dispatched_at.is_some() {
            let message = format!("the delivery of an order that is {} can no longer be changed", shown(&order));
            return Err(Error::WrongState(message));
        }
        let delivery = change.over(order.delivery.take());
        delivery.check(self.settings.store(), self.settings.delivery_radius_km)?;
        order.delivery = Some(delivery);
        store::orders::save(&mut tx, &order).await?;
        let done = AuditRecord {
            action: "change_order",
            run: Some(order.run_id),
            subject: Some(&format!("order {id}")),
            before: None,
            // Not where to: that is the customer's, and stands in the order.
            after: Some(json!({"changed": change.named()})),
        };
        self.audit(&mut tx, &done, None).await?;
        tx.commit().await?;
        self.get(id).await.map_err(Error::after_write)
    }

    /// Records a report of fulfilment; the order's run moves its state. A repeated report changes nothing. A dispatch
    /// ends the refund window early: a dispatched order can't be cancelled.
    ///
    /// # Errors
    /// `unknown_order`; `wrong_state` for an order that is not placed, or is being cancelled.
    pub async fn report(&self, id: Uuid, report: Fulfilment) -> Result<Order, Error> {
        let mut tx = self.engine.begin().await?;
        let mut order = store::orders::lock(&mut tx, id).await?.ok_or(Error::UnknownOrder(id))?;
        if !order.state.is_placed() {
            return Err(Error::WrongState(format!("an order that is {} has no delivery", shown(&order))));
        }
        let now = store::now(&mut tx).await?;
        let known = match report {
            Fulfilment::Shipped => order.dispatched_at.replace(order.dispatched_at.unwrap_or(now)),
            Fulfilment::Delivered if order.dispatched_at.is_none() => {
                return Err(Error::WrongState("an order that was not dispatched can't be delivered".to_owned()));
            }
            Fulfilment::Delivered => order.delivered_at.replace(order.delivered_at.unwrap_or(now)),
        };
        if known.is_none() {
            store::orders::save(&mut tx, &order).await?;
            let done = AuditRecord {
                action: "report_fulfilment",
                run: Some(order.run_id),
                subject: Some(&format!("order {id}")),
                before: None,
                after: Some(json!({"state": report})),
            };
            self.audit(&mut tx, &done, None).await?;
            self.tell_run(&mut tx, &order, News::Fulfilment, None).await.map_err(ended_is_wrong_state)?;
        }
        tx.commit().await?;
        self.engine.hint();
        self.get(id).await.map_err(Error::after_write)
    }
}

/// The state for messages: a dispatched order counts as shipped before its run has moved it.
fn shown(order: &Order) -> &'static str {
    if order.dispatched_at.is_some() && !matches!(order.state, OrderState::Shipped | OrderState::Delivered) {
        "dispatched"
    } else {
        order.state.word()
    }
}
