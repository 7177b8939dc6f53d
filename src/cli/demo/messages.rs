//! What the demo's orders say outside: their events, and the notices that people got of them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::stage::Stage;
use crate::{
    cli::output::{span, table},
    engine::outbox::{Event, EventFilter},
    orders::{Notification, NotificationFilter, NotificationState, state::Word},
};

/// How long notices may take after the last order.
const TOLD_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// More events than an order has.
const OF_ONE: u32 = 200;

/// All of them.
#[derive(Debug, Default, Serialize)]
pub(super) struct Messages {
    /// Events of the orders, by type.
    events: BTreeMap<String, usize>,
    /// Notices that were sent, by what they tell of.
    notices: BTreeMap<String, usize>,
    /// Notices that were not.
    unsent: usize,
    #[serde(skip)]
    of_order: HashMap<Uuid, (Vec<Event>, Vec<Notification>)>,
}

/// Waits until nothing is left to tell, and reads what these orders say.
pub(super) async fn collect(stage: &Stage, orders: impl Iterator<Item = Uuid>) -> anyhow::Result<Messages> {
    let began = Instant::now();
    while !all_is_told(stage).await? && began.elapsed() < stage.pace.of(TOLD_WITHIN) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut messages = Messages::default();
    for order in orders {
        let filter = EventFilter { subject: Some(order.to_string()), limit: Some(OF_ONE), ..EventFilter::default() };
        let events = stage.engine.events(&filter).await?.items;
        let filter = NotificationFilter { order_id: Some(order), limit: Some(OF_ONE), ..NotificationFilter::default() };
        let notices = stage.orders.notifications(&filter).await?.items;
        for event in &events {
            *messages.events.entry(event.event_type.clone()).or_default() += 1;
        }
        for notice in &notices {
            if notice.state == NotificationState::Sent {
                *messages.notices.entry(notice.about.clone()).or_default() += 1;
            } else {
                messages.unsent += 1;
            }
        }
        messages.of_order.insert(order, (events, notices));
    }
    Ok(messages)
}

async fn all_is_told(stage: &Stage) -> anyhow::Result<bool> {
    if stage.engine.outbox_lag().await?.iter().any(|lag| lag.rows > 0) {
        return Ok(false);
    }
    let of = |state| NotificationFilter { state: Some(state), limit: Some(1), ..NotificationFilter::default() };
    for state in [NotificationState::Pending, NotificationState::Failed] {
        if !stage.orders.notifications(&of(state)).await?.items.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Messages {
    /// Whether each notice was sent.
    pub(super) const fn is_complete(&self) -> bool {
        self.unsent == 0
    }

    /// How many there are of each type.
    pub(super) fn counts(&self) -> String {
        let number = |count: Option<&usize>| count.map_or_else(String::new, ToString::to_string);
        let row =
            |(about, count): (&String, &usize)| vec![about.clone(), count.to_string(), number(self.notices.get(about))];
        let text = table(&["EVENT", "TIMES", "NOTICES"], self.events.iter().map(row));
        if self.is_complete() { text } else { format!("{text}\n✗ {} notices were not sent", self.unsent) }
    }

    /// What one order said, in order.
    pub(super) fn of_order(&self, order: Uuid) -> String {
        let Some((events, notices)) = self.of_order.get(&order) else { return String::new() };
        let first = events.first().map(|event| event.time);
        let row = |event: &Event| {
            let after = first.map_or(0, |first| (event.time - first).num_milliseconds());
            let of_event = notices.iter().filter(|notice| notice.about == event.event_type);
            let of_event: Vec<String> = of_event.map(describe).collect();
            vec![span(after), event.event_type.clone(), of_event.join(", ")]
        };
        table(&["AFTER", "EVENT", "NOTICE"], events.iter().map(row))
    }
}

fn describe(notice: &Notification) -> String {
    let (who, how, state) = (notice.recipient.word(), notice.channel.word(), notice.state.word());
    format!("{who} by {how}: {state}")
}
