//! What changes after an order was placed: its delivery, until it is dispatched, and what fulfilment reports.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Orders, ended_is_wrong_state};
use crate::{
    engine::Time,
    orders::{
        delivery::Delivery,
        error::Error,
        order::Order,
        runs::News,
        state::{OrderState, Word},
        store,
    },
};

/// What fulfilment reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fulfilment {
    /// It is on its way.
    Shipped,
    /// It has arrived.
    Delivered,
}

/// What fulfilment has to say of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FulfilmentReport {
    /// What has happened.
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

/// What is left out stays as it is; a new address without a position has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDelivery {
    /// For people.
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
    fn over(&self, old: Option<Delivery>) -> Delivery {
        let old = old.unwrap_or_else(|| Delivery { address: String::new(), lat: None, lon: None, at: None });
        let moved = self.address.is_some() || self.lat.is_some() || self.lon.is_some();
        let (lat, lon) = if moved { (self.lat, self.lon) } else { (old.lat, old.lon) };
        Delivery { address: self.address.clone().unwrap_or(old.address), lat, lon, at: self.at.or(old.at) }
    }
}

impl Orders {
    /// Changes address or time, until the order is dispatched.
    ///
    /// # Errors
    /// `unknown_order`, `invalid_request`, `delivery_too_far`; `wrong_state` once it is dispatched or being cancelled.
    pub async fn change_delivery(&self, id: Uuid, change: &NewDelivery) -> Result<Order, Error> {
        let mut tx = self.engine.pool().begin().await?;
        let mut order = store::orders::lock(&mut tx, id).await?.ok_or(Error::UnknownOrder(id))?;
        let open = matches!(
            order.state,
            OrderState::Created | OrderState::AwaitingPayment | OrderState::Placed | OrderState::Processing
        );
        if !open || order.dispatched_at.is_some() {
            let message = format!("the delivery of an order that is {} can't be changed any more", shown(&order));
            return Err(Error::WrongState(message));
        }
        let delivery = change.over(order.delivery.take());
        delivery.check(self.settings.store(), self.settings.delivery_radius_km)?;
        order.delivery = Some(delivery);
        store::orders::save(&mut tx, &order).await?;
        tx.commit().await?;
        self.get(id).await
    }

    /// Records what fulfilment reports; the order's run moves its state. A report that comes again changes nothing.
    /// A dispatch ends the refund window early: what has left the house is not cancelled.
    ///
    /// # Errors
    /// `unknown_order`; `wrong_state` for an order that is not placed, or is being cancelled.
    pub async fn report(&self, id: Uuid, report: Fulfilment) -> Result<Order, Error> {
        let mut tx = self.engine.pool().begin().await?;
        let mut order = store::orders::lock(&mut tx, id).await?.ok_or(Error::UnknownOrder(id))?;
        if !order.state.is_placed() {
            return Err(Error::WrongState(format!("an order that is {} has nothing to be delivered", shown(&order))));
        }
        let now = store::now(&mut tx).await?;
        let known = match report {
            Fulfilment::Shipped => order.dispatched_at.replace(order.dispatched_at.unwrap_or(now)),
            Fulfilment::Delivered if order.dispatched_at.is_none() => {
                return Err(Error::WrongState("an order that was not shipped can't be delivered".to_owned()));
            }
            Fulfilment::Delivered => order.delivered_at.replace(order.delivered_at.unwrap_or(now)),
        };
        if known.is_none() {
            store::orders::save(&mut tx, &order).await?;
            self.tell_run(&mut tx, &order, News::Fulfilment, None).await.map_err(ended_is_wrong_state)?;
        }
        tx.commit().await?;
        self.engine.hint();
        self.get(id).await
    }
}

/// As people think of it: dispatched counts before its run has said so.
fn shown(order: &Order) -> &'static str {
    if order.dispatched_at.is_some() && !matches!(order.state, OrderState::Shipped | OrderState::Delivered) {
        "dispatched"
    } else {
        order.state.word()
    }
}
