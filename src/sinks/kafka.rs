//! Events to Kafka: those of orders, of payments and of stock to a topic each, keyed by their subject, so that one order's stay
//! in order. All in-sync replicas have them before they count as delivered.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use rskafka::{
    client::{
        Client,
        error::{Error as KafkaError, ProtocolError},
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use tokio::sync::Mutex;

use super::CLOUD_EVENT;
use crate::{
    engine::outbox::{Event, Sink, SinkError},
    kafka::Brokers,
};

/// A topic that we make ourselves has so many partitions, and one replica: where that is too little, it is made beforehand.
const PARTITIONS: i32 = 3;
const REPLICAS: i16 = 1;
/// How long a broker may take to make a topic.
const MADE_WITHIN_MS: i32 = 5_000;
/// Bytes in a batch, unless one event has more: brokers take 1 MiB unless told otherwise, with what the protocol adds.
const LARGEST_BATCH: usize = 512 * 1024;
/// The longest name that Kafka takes.
const LONGEST_NAME: usize = 249;

/// The topics of orders, payments and stock, as `orders,payments,stock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics([String; 3]);

impl FromStr for Topics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        let is_topic = |name: &str| {
            (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) && name != "." && name != ".."
        };
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        match names.iter().find(|name| !is_topic(name)) {
            Some(odd) => Err(format!("{odd:?} is no topic's name")),
            None => names.try_into().map(Self).map_err(|_| {
                "three names are needed, of the topics of orders, payments and stock: orders,payments,stock".to_owned()
            }),
        }
    }
}

impl Topics {
    /// The topic of a type of events. What is none of the shop's goes with the orders.
    fn of(&self, event_type: &str) -> &str {
        let [orders, payments, stock] = &self.0;
        match event_type.split('.').next() {
            Some("payment") => payments,
            Some("stock") => stock,
            _ => orders,
        }
    }
}

/// The partitions of our topics, on a connection that works.
#[derive(Debug, Default)]
struct Connected {
    client: Option<Client>,
    parts: BTreeMap<String, Vec<Arc<PartitionClient>>>,
}

/// Sends events to Kafka.
#[derive(Debug)]
pub struct KafkaSink {
    brokers: Brokers,
    topics: Topics,
    connected: Mutex<Connected>,
}

impl KafkaSink {
    /// A sink to these brokers and topics. Topics that are not there are made.
    pub fn new(brokers: Brokers, topics: Topics) -> Self {
        Self { brokers, topics, connected: Mutex::default() }
    }

    /// The partitions of a topic, in their order.
    async fn parts(&self, topic: &str) -> Result<Vec<Arc<PartitionClient>>, KafkaError> {
        let mut connected = self.connected.lock().await;
        if let Some(parts) = connected.parts.get(topic) {
            return Ok(parts.clone());
        }
        let client = match connected.client.take() {
            Some(client) => client,
            None => self.brokers.connect().await?,
        };
        let mut parts = Vec::new();
        for part in find_parts(&client, topic).await? {
            parts.push(Arc::new(client.partition_client(topic, part, UnknownTopicHandling::Retry).await?));
        }
        connected.client = Some(client);
        connected.parts.insert(topic.to_owned(), parts.clone());
        Ok(parts)
    }

    async fn send(&self, events: &[Event]) -> Result<(), SinkError> {
        let mut of_topic: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for event in events {
            of_topic.entry(self.topics.of(&event.event_type)).or_default().push(event);
        }
        for (topic, events) in of_topic {
            let parts = self.parts(topic).await.map_err(refused)?;
            let mut of_part: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
            for event in events {
                let part = part_of(event.subject.as_bytes(), parts.len());
                of_part.entry(part).or_default().push(record(event)?);
            }
            for (part, records) in of_part {
                let Some(part) = parts.get(part) else { return Err(SinkError::new("the topic has no partitions")) };
                for records in batches(records) {
                    part.produce(records, Compression::NoCompression).await.map_err(refused)?;
                }
            }
        }
        Ok(())
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &'static str {
        "kafka"
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
        // Cut off within a request, a connection is of no use: only what worked is kept.
        let connected = std::mem::take(&mut *self.connected.lock().await);
        let attempt =
            Self { brokers: self.brokers.clone(), topics: self.topics.clone(), connected: Mutex::new(connected) };
        attempt.send(events).await?;
        *self.connected.lock().await = attempt.connected.into_inner();
        Ok(())
    }
}

/// The partitions of a topic, which is made if it is not there.
async fn find_parts(client: &Client, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let found = client.list_topics().await?.into_iter().find(|found| found.name == topic);
    if let Some(found) = found.filter(|found| !found.partitions.is_empty()) {
        return Ok(found.partitions.into_iter().collect());
    }
    let made = client.controller_client()?.create_topic(topic, PARTITIONS, REPLICAS, MADE_WITHIN_MS).await;
    match made {
        // Another process was quicker.
        Ok(()) | Err(KafkaError::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {}
        Err(error) => return Err(error),
    }
    let found = client.list_topics().await?.into_iter().find(|found| found.name == topic);
    Ok(found.map(|found| found.partitions.into_iter().collect()).unwrap_or_default())
}

fn refused(error: KafkaError) -> SinkError {
    SinkError::new(format!("the broker: {error}"))
}

fn record(event: &Event) -> Result<Record, SinkError> {
    let value = serde_json::to_vec(event).map_err(|error| SinkError::new(error.to_string()))?;
    let headers = [("content-type", CLOUD_EVENT.as_bytes().to_vec()), ("ce_id", event.id.to_string().into_bytes())];
    Ok(Record {
        key: Some(event.subject.clone().into_bytes()),
        value: Some(value),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        timestamp: event.time,
    })
}

/// The same records, in order, in batches of a size that brokers take: a large event is about half of one.
fn batches(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut batches: Vec<Vec<Record>> = Vec::new();
    let mut size = 0;
    for record in records {
        let more = record.value.as_ref().map_or(0, Vec::len);
        match batches.last_mut().filter(|_| size + more <= LARGEST_BATCH) {
            Some(batch) => batch.push(record),
            None => {
                size = 0;
                batches.push(vec![record]);
            }
        }
        size += more;
    }
    batches
}

/// The partition of a key, as Kafka's own clients choose it: others may write to the same topic.
fn part_of(key: &[u8], parts: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % parts.max(1)
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the Java client's own test.
    #[test]
    fn partitions_are_those_of_other_clients() {
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn batches_keep_the_order_and_stay_small() {
        let record = |size: usize| Record {
            key: None,
            value: Some(vec![0; size]),
            headers: BTreeMap::new(),
            timestamp: chrono::DateTime::UNIX_EPOCH,
        };
        let sizes = [200, 200, 200, 600, 1, 500, 12].map(|kib| kib * 1024);
        let batches = batches(sizes.map(record).into());
        let found: Vec<Vec<usize>> = batches
            .iter()
            .map(|batch| batch.iter().map(|record| record.value.as_ref().map_or(0, Vec::len) / 1024).collect())
            .collect();
        assert_eq!(found, [vec![200, 200], vec![200], vec![600], vec![1, 500], vec![12]]);
    }

    #[test]
    fn three_topics_have_names() {
        let topics: Topics = "o, p ,s".parse().expect("topics");
        assert_eq!(
            ["order.placed", "payment.failed", "stock.depleted", "else"].map(|of| topics.of(of)),
            ["o", "p", "s", "o"]
        );
        for bad in ["", "a,b", "a,b,c,d", "a,b,c d", "a,b,..", "a,,c"] {
            assert!(bad.parse::<Topics>().is_err(), "{bad}");
        }
    }
}
