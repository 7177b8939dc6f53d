//! Orders that are placed at the same moment share statements and a commit: each order and its run are durable in one.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Orders,
    place::{NewOrder, PlaceOrder, Placed},
};
use crate::{
    engine::{self, Batched, StartRun, to_json},
    orders::{
        error::Error,
        notices::Contact,
        order::Order,
        runs::{ORDER, OrderInput},
        store,
    },
};

/// What became of one in its transaction.
enum Written {
    Placed(Box<Order>),
    Refused(Error),
    /// Its key was another's.
    KeyTaken,
}

/// Orders, as they are gathered.
#[derive(Clone)]
struct Placing(Orders);

impl Batched for Placing {
    type Request = NewOrder;
    type Answer = Result<Placed, Error>;

    async fn together(&self, new: Vec<NewOrder>) -> Vec<Option<Result<Placed, Error>>> {
        match self.0.place_all(&new).await {
            Ok(placed) => placed.into_iter().map(Some).collect(),
            Err(error) => error.shared_by(new.len()),
        }
    }

    async fn alone(&self, new: NewOrder) -> Result<Placed, Error> {
        self.0.place_alone(&new).await
    }
}

impl Orders {
    /// Accepts an order. The order and its run are durable when this returns; the run then handles stock and payment.
    ///
    /// # Errors
    /// `invalid_request`, `unknown_item`, `currency_mismatch`, `price_overflow`, `delivery_too_far`, `key_conflict`,
    /// `rate_limited` where the customer has too many in flight, and the engine's.
    pub async fn place(&self, request: &PlaceOrder, key: Option<&str>) -> Result<Placed, Error> {
        self.place_in_trace(request, key, None).await
    }

    /// Like [`Orders::place`], with the caller's W3C trace context, whose trace the order's run joins. The trace is not
    /// part of the request: the same key with another trace is the same request.
    ///
    /// # Errors
    /// As [`Orders::place`].
    pub async fn place_in_trace(
        &self,
        request: &PlaceOrder,
        key: Option<&str>,
        traceparent: Option<String>,
    ) -> Result<Placed, Error> {
        let new = self.new_order(request, key, traceparent)?;
        self.placing.submit(&Placing(self.clone()), new).await.unwrap_or_else(|| Err(lost()))
    }

    async fn place_all(&self, new: &[NewOrder]) -> Result<Vec<Result<Placed, Error>>, Error> {
        let mut tx = self.engine.begin_impatient().await?;
        let written = self.write(&mut tx, new).await?;
        tx.commit().await?;
        self.engine.hint();
        let mut placed = Vec::with_capacity(new.len());
        for (new, written) in new.iter().zip(written) {
            placed.push(self.answer(new, written).await);
        }
        Ok(placed)
    }

    async fn place_alone(&self, new: &NewOrder) -> Result<Placed, Error> {
        let mut tx = self.engine.begin().await?;
        let written = self.write(&mut tx, std::slice::from_ref(new)).await?.pop();
        let written = written.ok_or_else(|| Error::InvalidRequest("nothing was to be placed".to_owned()))?;
        tx.commit().await?;
        self.engine.hint();
        self.answer(new, written).await
    }

    /// Writes orders and starts their runs. Those that are refused leave nothing.
    async fn write(&self, tx: &mut PgConnection, new: &[NewOrder]) -> Result<Vec<Written>, Error> {
        let skus: BTreeSet<&str> =
            new.iter().flat_map(|new| new.request.items.iter().map(|item| item.sku.as_str())).collect();
        let counted = self.settings.orders_in_flight.is_some();
        let customers: BTreeSet<&str> =
            new.iter().filter(|_| counted).map(|new| new.request.customer_id.as_str()).collect();
        let (skus, customers): (Vec<&str>, Vec<&str>) = (skus.into_iter().collect(), customers.into_iter().collect());
        let items = store::items::find_all(tx, &skus, &customers).await?;
        let mut written: Vec<Written> = new
            .iter()
            .map(|new| match self.priced(new, &items) {
                Ok(order) => Written::Placed(Box::new(order)),
                Err(refused) => Written::Refused(refused),
            })
            .collect();
        take_keys(tx, new, &mut written).await?;
        self.refuse_too_many(tx, new, &mut written).await?;
        let orders: Vec<&Order> = written.iter().filter_map(Written::order).collect();
        if orders.is_empty() {
            return Ok(written);
        }
        let placed = || new.iter().zip(&written).filter_map(|(new, written)| Some((new, written.order()?)));
        let contacts: Vec<(Uuid, &Contact)> =
            placed().filter_map(|(new, order)| Some((order.id, new.request.contact.as_ref()?))).collect();
        let created_at = store::orders::insert_all(tx, &orders, &contacts).await?;
        let starts: Vec<StartRun> = placed().map(|(new, order)| self.run_of(new, order)).collect::<Result<_, _>>()?;
        for started in self.engine.start_batch_in(tx, starts).await? {
            started?;
        }
        for written in &mut written {
            if let Written::Placed(order) = written {
                (order.created_at, order.updated_at) = (created_at, created_at);
            }
        }
        Ok(written)
    }

    /// Refuses orders of customers who have as many in flight as they may; of several at once the first are placed. Counted after
    /// the keys are taken: a request that comes again is no order more.
    async fn refuse_too_many(
        &self,
        tx: &mut PgConnection,
        new: &[NewOrder],
        written: &mut [Written],
    ) -> Result<(), Error> {
        let Some(most) = self.settings.orders_in_flight else { return Ok(()) };
        let customers: BTreeSet<&str> = new
            .iter()
            .zip(&*written)
            .filter_map(|(new, written)| written.order().map(|_| new.request.customer_id.as_str()))
            .collect();
        if customers.is_empty() {
            return Ok(());
        }
        let customers: Vec<&str> = customers.into_iter().collect();
        let mut in_flight = store::orders::count_in_flight(tx, &customers, most).await?;
        let (mut keys, mut refused) = (Vec::new(), Vec::new());
        for (new, written) in new.iter().zip(&mut *written) {
            let Some(order) = written.order() else { continue };
            let count = in_flight.entry(order.customer_id.clone()).or_default();
            if *count < i64::from(most) {
                *count += 1;
                continue;
            }
            keys.extend(new.key.as_ref().map(|(key, _)| key.as_str()));
            refused.push(new.id);
            *written = Written::Refused(Error::TooManyInFlight { most });
        }
        if !keys.is_empty() {
            store::orders::give_back_keys(tx, &keys, &refused).await?;
        }
        for (new, written) in new.iter().zip(written) {
            // The same request twice at once: the key is nobody's now.
            let key = new.key.as_ref().map(|(key, _)| key.as_str());
            if matches!(written, Written::KeyTaken) && key.is_some_and(|key| keys.contains(&key)) {
                *written = Written::Refused(Error::TooManyInFlight { most });
            }
        }
        Ok(())
    }

    fn run_of(&self, new: &NewOrder, order: &Order) -> Result<StartRun, Error> {
        let input = OrderInput::new(order, new.sources.clone(), self.settings.payment_window)?;
        let input = to_json(&input).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let tags = BTreeMap::from([("order".to_owned(), order.id.to_string())]);
        Ok(StartRun {
            id: Some(order.run_id),
            tags,
            traceparent: new.traceparent.clone(),
            ..StartRun::named(ORDER, input)
        })
    }

    /// After the commit. The key of one that is refused now may have placed an order earlier, at other prices.
    async fn answer(&self, new: &NewOrder, written: Written) -> Result<Placed, Error> {
        let refused = match written {
            Written::Placed(order) => return Ok(Placed { order: *order, created: true }),
            Written::Refused(error) => Some(error),
            Written::KeyTaken => None,
        };
        let first = match &new.key {
            Some((key, hash)) => {
                let mut conn = self.engine.acquire().await?;
                store::orders::key_owner(&mut conn, key).await?.map(|first| (first, hash))
            }
            None => None,
        };
        match (first, refused) {
            (Some(((first, first_hash), hash)), _) if first_hash == *hash => {
                Ok(Placed { order: self.get(first).await?, created: false })
            }
            (Some(((first, _), _)), _) => Err(Error::KeyConflict(first)),
            (None, Some(refused)) => Err(refused),
            (None, None) => Err(lost()),
        }
    }
}

impl Written {
    fn order(&self) -> Option<&Order> {
        match self {
            Self::Placed(order) => Some(order),
            Self::Refused(_) | Self::KeyTaken => None,
        }
    }
}

/// Takes the keys of those that are to be placed. A refused one takes none: its request may be sent again.
async fn take_keys(tx: &mut PgConnection, new: &[NewOrder], written: &mut [Written]) -> Result<(), Error> {
    let keys = new.iter().zip(&*written).filter_map(|(new, written)| {
        let (key, hash) = new.key.as_ref()?;
        Some((key.as_str(), written.order()?.id, hash.as_slice()))
    });
    let keys: Vec<store::orders::OrderKey<'_>> = keys.collect();
    if keys.is_empty() {
        return Ok(());
    }
    let taken = store::orders::claim_keys(tx, &keys).await?;
    for (new, written) in new.iter().zip(written) {
        if new.key.is_some() && written.order().is_some() && !taken.contains(&new.id) {
            *written = Written::KeyTaken;
        }
    }
    Ok(())
}

/// Nobody knows whether it was placed.
fn lost() -> Error {
    Error::Engine(engine::Error::OutcomeUnknown(sqlx::Error::WorkerCrashed))
}
