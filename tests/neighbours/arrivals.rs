//! What came out: each event at the broker and at the receiver of webhooks, each notice in the mailbox, one order's in order. What
//! came twice came with one id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use backstitch::engine::outbox::{Event, EventFilter};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    broker::Broker,
    customers::{Placed, address_of},
    stage::Stage,
};

pub(crate) const TOPICS: [&str; 3] = ["orders", "payments", "stock"];
/// What customers are told of by default: each change of an order's state, as docs/orders.md says.
const TOLD: &str = "order.";

/// The records that topics had, with their keys, over all of the broker's lives.
#[derive(Default)]
pub(crate) struct Arrivals {
    records: BTreeMap<&'static str, Vec<(String, Event)>>,
}

impl Arrivals {
    /// Reads all that the broker has.
    pub(crate) async fn read_topics(&mut self, broker: &Broker) {
        for topic in TOPICS {
            self.records.entry(topic).or_default().extend(broker.read_topic(topic).await);
        }
    }

    pub(crate) async fn check(&self, stage: &Stage, placed: &Placed) {
        let feed = read_feed(stage).await;
        assert!(feed.iter().map(|event| event.sequence).eq(1..=feed.len() as i64), "numbers without a hole");
        let mut twice = Vec::new();
        for topic in TOPICS {
            let expected: Vec<&Event> = feed.iter().filter(|event| topic_of(event) == topic).collect();
            let records = &self.records[topic];
            assert!(records.iter().all(|(key, event)| *key == event.subject), "{topic}: the subject is the key");
            let came: Vec<&Event> = records.iter().map(|(_, event)| event).collect();
            twice.push((topic, assert_all_came(topic, &came, &expected)));
        }
        let received = stage.received();
        let twice_received =
            assert_all_came("webhook", &received.iter().collect::<Vec<_>>(), &feed.iter().collect::<Vec<_>>());
        let mails = check_mails(stage, placed, &feed).await;
        println!(
            "{} events; came again: {twice:?} of the topics, {twice_received} of the webhook's, {mails} of the mails",
            feed.len()
        );
    }
}

async fn read_feed(stage: &Stage) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let after = all.last().map(|event| event.sequence);
        let filter = EventFilter { after, limit: Some(200), ..EventFilter::default() };
        let page = stage.engine.events(&filter).await.expect("a page");
        all.extend(page.items);
        if page.next_cursor.is_none() {
            return all;
        }
    }
}

fn topic_of(event: &Event) -> &'static str {
    match event.event_type.split_once('.') {
        Some(("order", _)) => "orders",
        Some(("payment", _)) => "payments",
        _ => "stock",
    }
}

/// Each of those, none else, as it was written, and those of one subject in order but for what came again; gives how many did.
fn assert_all_came(place: &str, came: &[&Event], expected: &[&Event]) -> usize {
    let wanted: HashMap<Uuid, &Event> = expected.iter().map(|event| (event.id, *event)).collect();
    let mut seen = BTreeSet::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in came {
        assert_eq!(wanted.get(&event.id), Some(event), "{place}: an event as the feed has it");
        if seen.insert(event.id) {
            let before = last.insert(&event.subject, event.sequence).unwrap_or_default();
            assert!(before < event.sequence, "{place}: {before} before {event:?}");
        }
    }
    let lost: Vec<i64> =
        expected.iter().filter(|event| !seen.contains(&event.id)).map(|event| event.sequence).collect();
    assert!(lost.is_empty(), "{place}: {} of {} never came: {lost:?}", lost.len(), expected.len());
    came.len() - seen.len()
}

/// One notice to the customer for each event of an order's state, and one mail or more of each notice, with the notice's id; gives how
/// many mails came again.
async fn check_mails(stage: &Stage, placed: &Placed, feed: &[Event]) -> usize {
    let mut wanted = BTreeSet::new();
    for event in feed.iter().filter(|event| event.event_type.starts_with(TOLD) && event.event_type != "order.updated") {
        let (number, _) = placed.get(&event.subject).expect("an order that was placed");
        wanted.insert((event.id, address_of(*number)));
    }
    let query = "SELECT id, cause, address FROM shop.notification WHERE recipient = 'customer' AND channel = 'email'";
    let notices: Vec<(Uuid, Uuid, String)> = sqlx::query_as(query).fetch_all(&stage.pool).await.expect("reads");
    let made: BTreeSet<(Uuid, String)> = notices.iter().map(|(_, cause, to)| (*cause, to.clone())).collect();
    assert_eq!((notices.len(), made), (wanted.len(), wanted), "each event is told once");
    let mails = stage.mail.mails();
    let text = |mail: &Value, field: &str| mail[field].as_str().unwrap_or_default().to_owned();
    let came: BTreeSet<(String, String)> = mails.iter().map(|mail| (text(mail, "id"), text(mail, "to"))).collect();
    let sent: BTreeSet<(String, String)> =
        notices.iter().map(|(id, _, to)| (format!("<{id}@example.com>"), to.clone())).collect();
    let lost: Vec<_> = sent.difference(&came).collect();
    assert!(lost.is_empty(), "{} mails never came: {lost:?}", lost.len());
    assert_eq!(came, sent, "mails of notices only");
    mails.len() - notices.len()
}
