//! Events from Kafka topics. How far each partition was handled is kept in the database, and moves with what was handled: a
//! process that dies, or two that read the same, handle nothing twice.

use std::{collections::HashSet, time::Duration};

use rskafka::client::{
    error::{Error as KafkaError, ProtocolError},
    partition::{OffsetAt, PartitionClient, UnknownTopicHandling},
};
use tokio::task::JoinSet;

use super::{Inbox, Source};
use crate::{
    engine::{self, Engine, Mapping, Time, TopicPart, TopicRecord},
    kafka::Brokers,
};

/// How long to wait after a failure.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The same at most, while failures follow each other.
const TRY_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// How often there is a look for new partitions.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Bytes of one fetch; a broker gives a larger record all the same.
const FETCHED_BYTES: std::ops::Range<i32> = 1..(4 << 20);
/// How long a broker waits for something new.
const WAIT_MS: i32 = 1_000;
/// A broker that answers nothing within this time is as good as gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// For how long an event is known by its id at the least: a day less than the engine keeps it, for clocks that differ.
const KNOWN_FOR: chrono::TimeDelta = chrono::TimeDelta::days(29);
/// Records handled in one transaction.
const AT_ONCE: usize = 200;

/// Why a turn failed; the next one goes on where it was.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the broker: {0}")]
    Broker(#[from] KafkaError),
    #[error("the broker did not answer")]
    Silent,
    #[error(transparent)]
    Database(#[from] engine::Error),
}

/// Reads the topics of all sources until `stop` is done. Outages of the broker and of the database are waited out.
pub async fn read_topics(engine: Engine, inbox: Inbox, brokers: Brokers, stop: impl Future<Output = ()>) {
    let mut readers = JoinSet::new();
    for source in inbox.sources() {
        for topic in &source.topics {
            readers.spawn(read_topic(engine.clone(), source.clone(), topic.clone(), brokers.clone()));
        }
    }
    stop.await;
    // What was not committed is read again.
    readers.shutdown().await;
}

/// All partitions of a topic, each by a task of its own.
async fn read_topic(engine: Engine, source: Source, topic: String, brokers: Brokers) {
    let mut known = HashSet::new();
    let mut readers = JoinSet::new();
    let mut failures = Failures::default();
    loop {
        let pause = match find_parts(&brokers, &topic).await {
            Ok(parts) => {
                for part in parts.into_iter().filter(|part| known.insert(*part)) {
                    let from = TopicPart { topic: topic.clone(), part };
                    readers.spawn(read_part(engine.clone(), source.mapping.clone(), from, brokers.clone()));
                }
                failures.end(&topic);
                LOOK_EVERY
            }
            Err(trouble) => failures.note(&topic, &trouble),
        };
        tokio::time::sleep(pause).await;
    }
}

async fn find_parts(brokers: &Brokers, topic: &str) -> Result<Vec<i32>, Trouble> {
    let looking = async {
        let topics = brokers.connect().await?.list_topics().await?;
        let parts = topics.into_iter().find(|found| found.name == topic).map(|found| found.partitions);
        Ok(parts.unwrap_or_default().into_iter().collect())
    };
    answered(looking).await
}

async fn answered<T>(asking: impl Future<Output = Result<T, KafkaError>>) -> Result<T, Trouble> {
    Ok(tokio::time::timeout(ANSWER_WITHIN, asking).await.map_err(|_| Trouble::Silent)??)
}

/// One partition, turn after turn.
async fn read_part(engine: Engine, mapping: Mapping, from: TopicPart, brokers: Brokers) {
    let name = format!("{}/{}", from.topic, from.part);
    let mut failures = Failures::default();
    let mut partition = None;
    loop {
        let turn = async {
            let partition = match &mut partition {
                Some(partition) => partition,
                none => none.insert(open(&brokers, &from).await?),
            };
            read_turn(&engine, &mapping, &from, partition).await
        };
        match turn.await {
            Ok(()) => failures.end(&name),
            Err(trouble) => {
                // The library keeps the connection that it asks who leads a partition, even one that has fallen silent.
                partition = None;
                tokio::time::sleep(failures.note(&name, &trouble)).await;
            }
        }
    }
}

async fn open(brokers: &Brokers, from: &TopicPart) -> Result<PartitionClient, Trouble> {
    let opened = async {
        let client = brokers.connect().await?;
        client.partition_client(from.topic.clone(), from.part, UnknownTopicHandling::Error).await
    };
    answered(opened).await
}

/// Reads what is new, and handles it.
async fn read_turn(
    engine: &Engine,
    mapping: &Mapping,
    from: &TopicPart,
    partition: &PartitionClient,
) -> Result<(), Trouble> {
    let next = engine.topic_position(mapping, from).await?;
    let records = match answered(partition.fetch_records(next, FETCHED_BYTES, WAIT_MS)).await {
        // Some brokers say nothing else of a place behind the end.
        Ok((records, end)) if records.is_empty() && end < next => {
            return find_place(engine, mapping, from, partition, next).await;
        }
        Ok((records, _)) => records,
        Err(Trouble::Broker(KafkaError::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. })) => {
            return find_place(engine, mapping, from, partition, next).await;
        }
        Err(error) => return Err(error),
    };
    let records: Vec<TopicRecord> = records
        .into_iter()
        .map(|read| TopicRecord { offset: read.offset, value: read.record.value })
        .filter(|record| record.offset >= next)
        .collect();
    let mut place = next;
    for records in records.chunks(AT_ONCE) {
        place = engine.receive_from_topic(mapping, from, place, records).await?;
        if records.last().is_some_and(|last| place != last.offset + 1) {
            // Another process reads it, too.
            break;
        }
    }
    Ok(())
}

/// The broker has nothing at our place: it has dropped what stood there, or the topic was made anew, or has lost its end.
async fn find_place(
    engine: &Engine,
    mapping: &Mapping,
    from: &TopicPart,
    partition: &PartitionClient,
    next: i64,
) -> Result<(), Trouble> {
    let first = answered(partition.get_offset(OffsetAt::Earliest)).await?;
    let end = answered(partition.get_offset(OffsetAt::Latest)).await?;
    let to = if first > next {
        first
    } else if end < next {
        find_known(partition, first, end, engine.now().await? - KNOWN_FOR).await?
    } else {
        // It was a moment's trouble.
        tokio::time::sleep(TRY_AGAIN).await;
        return Ok(());
    };
    let TopicPart { topic, part } = from;
    tracing::warn!(
        topic,
        part,
        next,
        first,
        end,
        to,
        "the broker has nothing at our place in the topic: we go on at another"
    );
    Ok(engine.move_in_topic(mapping, from, next, to).await?)
}

/// The first record that is so young that it is known by its id if it was handled before: what comes from there on is handled
/// once, whether the topic is a new one or has lost its end.
async fn find_known(partition: &PartitionClient, first: i64, end: i64, oldest: Time) -> Result<i64, Trouble> {
    let mut at = first;
    while at < end {
        let (records, _) = answered(partition.fetch_records(at, FETCHED_BYTES, WAIT_MS)).await?;
        if let Some(young) = records.iter().find(|read| read.record.timestamp >= oldest) {
            return Ok(young.offset);
        }
        at = records.last().map_or(end, |last| last.offset.saturating_add(1));
    }
    Ok(end)
}

/// Failures in a row: logged once, and waited out for longer and longer.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
}

impl Failures {
    fn note(&mut self, topic: &str, trouble: &Trouble) -> Duration {
        if self.in_a_row == 0 {
            tracing::warn!(topic, %trouble, "a topic can't be read just now; another attempt follows");
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        TRY_AGAIN.saturating_mul(1 << self.in_a_row.min(5)).min(TRY_AT_LEAST_EVERY)
    }

    fn end(&mut self, topic: &str) {
        if self.in_a_row > 0 {
            tracing::info!(topic, "the topic is read again");
        }
        self.in_a_row = 0;
    }
}
