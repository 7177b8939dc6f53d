//! From events to notifications.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    decide,
    model::{Concerned, NewNotification},
};
use crate::{
    engine::outbox::{Event, LocalSink, SinkError, Start},
    notices::{Recipient, Routes},
    orders::store,
};

/// Makes notifications of the events of orders, in the transaction that notes that they were read.
#[derive(Clone, Debug)]
pub struct NoticeSink {
    routes: Routes,
}

impl NoticeSink {
    pub(super) const fn new(routes: Routes) -> Self {
        Self { routes }
    }

    /// The order of an event that somebody is told of.
    fn order_of(&self, event: &Event) -> Option<Uuid> {
        let is_told = |recipient| !self.routes.channels(&event.event_type, recipient).is_empty();
        Recipient::ALL.into_iter().any(is_told).then(|| event.subject.parse().ok()).flatten()
    }
}

impl LocalSink for NoticeSink {
    fn name(&self) -> &str {
        "notices"
    }

    fn start(&self) -> Start {
        Start::Newest
    }

    async fn deliver(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), SinkError> {
        let of_interest: Vec<(&Event, Uuid)> =
            events.iter().filter_map(|event| Some((event, self.order_of(event)?))).collect();
        let ids: Vec<Uuid> = of_interest.iter().map(|(_, order)| *order).collect();
        let concerned: HashMap<Uuid, Concerned> = store::notifications::concerned(tx, &ids).await?;
        let made: Vec<NewNotification> = of_interest
            .iter()
            .filter_map(|(event, order)| Some((event, order, concerned.get(order)?)))
            .flat_map(|(event, order, concerned)| {
                decide::notifications((event.id, *order, &event.event_type), concerned, &self.routes)
            })
            .collect();
        store::notifications::insert_all(tx, &made).await?;
        Ok(())
    }
}
