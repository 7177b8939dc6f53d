//! Who delivers to a sink: one process at a time, after its pause, and another one at once when it stops.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use backstitch::engine::outbox::{Event, LocalSink, Sink, SinkError, Start};
use sqlx::PgConnection;

use crate::{
    outbox::{Received, Relay, To, emit, n_of, number, numbers, process},
    support::{engine::*, wait_for, wait_until},
};

async fn read<T>(t: &TestEngine, query: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(query).fetch_one(t.engine.pool()).await.expect("a value")
}

/// Takes nothing, and notes when it was called.
#[derive(Clone, Default)]
struct Refuses(Arc<Mutex<Vec<Instant>>>);

impl Sink for Refuses {
    fn name(&self) -> &str {
        "s"
    }

    async fn deliver(&self, _: &[Event]) -> Result<(), SinkError> {
        self.0.lock().expect("no panic").push(Instant::now());
        Err(SinkError::new("never"))
    }
}

#[tokio::test]
async fn no_process_delivers_again_before_the_pause() {
    let t = TestEngine::idle().await;
    t.execute("INSERT INTO backstitch.event_sink (name, sequence, failures) VALUES ('s', 0, 3)").await;
    emit(&t, "a", 1).await;
    let sink = Refuses::default();
    let first = Relay::of(process(&t).with_sink(sink.clone()));
    wait_until("the fourth failure is on record", async || {
        t.engine.sinks().await.expect("reads").iter().any(|sink| sink.failures == 4)
    })
    .await;
    first.kill();
    let second = Relay::of(process(&t).with_sink(sink.clone()));
    let calls = async || sink.0.lock().expect("no panic").clone();
    wait_until("it is called again", async || calls().await.len() > 1).await;
    let calls = calls().await;
    assert!(calls[1] - calls[0] >= Duration::from_secs(2), "{calls:?}");
    second.kill();
}

#[tokio::test]
async fn a_lease_stays_with_who_holds_it() {
    const TOKEN: &str = "SELECT token::text FROM backstitch.event_sink WHERE name = 's'";
    let t = TestEngine::idle().await;
    let (held, taken, other) = (Received::default(), Received::default(), Received::default());
    let first = Relay::of(process(&t).with_sink(To("s", held.clone())));
    emit(&t, "a", 1).await;
    wait_until("it is held", async || held.all().len() == 1).await;
    let token: String = read(&t, TOKEN).await;
    let second = Relay::of(process(&t).with_sink(To("s", taken.clone())).with_sink(To("other", other.clone())));
    for n in 2..6 {
        emit(&t, "a", n).await;
        let count = usize::try_from(n).expect("few");
        wait_until("the second relays", async || other.all().len() == count && held.all().len() == count).await;
    }
    assert_eq!((read::<String>(&t, TOKEN).await, taken.all().len()), (token, 0));
    first.kill();
    second.kill();
}

/// Writes into a table of our own.
struct Copies;

impl LocalSink for Copies {
    fn name(&self) -> &str {
        "s"
    }

    fn start(&self) -> Start {
        Start::Oldest
    }

    async fn deliver(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            sqlx::query("INSERT INTO copy VALUES ($1)").bind(n_of(event)).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_local_sink_without_its_lease_writes_nothing() {
    let t = TestEngine::idle().await;
    t.execute("CREATE TABLE copy (n bigint)").await;
    emit(&t, "a", 1).await;
    let relay = Relay::of(process(&t).with_local_sink(Copies));
    let sequence = async || t.engine.sinks().await.expect("reads").first().map(|sink| sink.sequence);
    wait_until("the first is there", async || sequence().await == Some(1)).await;
    // Another one takes it, while this one is about to deliver.
    let mut taking = t.engine.begin().await.expect("begins");
    let taken = "UPDATE backstitch.event_sink SET token = gen_random_uuid(), leased_until = now() + interval '1 hour'";
    sqlx::query(taken).execute(&mut *taking).await.expect("takes it");
    emit(&t, "a", 2).await;
    let (pid, began): (i32, String) = wait_for("it asks for its row", async || {
        let waiting = "SELECT pid, xact_start::text FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%event_sink%FOR UPDATE%'";
        let found = sqlx::query_as(waiting).fetch_optional(t.engine.pool()).await.map_err(|error| error.to_string())?;
        found.ok_or_else(|| "nobody waits".to_owned())
    })
    .await;
    taking.commit().await.expect("commits");
    wait_until("its transaction is over", async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND xact_start::text = $2";
        let open = sqlx::query_scalar(open).bind(pid).bind(&began).fetch_one(t.engine.pool()).await;
        open.ok() == Some(0_i64)
    })
    .await;
    assert_eq!((read::<i64>(&t, "SELECT count(*) FROM copy").await, sequence().await), (1, Some(1)));
    relay.kill();
}

#[tokio::test]
async fn a_relay_that_stops_gives_its_leases_back() {
    let t = TestEngine::idle().await;
    let (received, next) = (Received::default(), Received::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let maintenance = process(&t).with_sink(To("s", received.clone())).maintenance(Default::default());
    let running = tokio::spawn(maintenance.run(async { drop(stopped.await) }));
    emit(&t, "a", 1).await;
    wait_until("it relays", async || t.engine.sinks().await.expect("reads").iter().any(|sink| sink.sequence == 1))
        .await;
    drop(stop);
    running.await.expect("it ends");
    assert!(read::<bool>(&t, "SELECT leased_until = '-infinity' FROM backstitch.event_sink").await);
    let second = Relay::of(process(&t).with_sink(To("s", next.clone())));
    emit(&t, "a", 2).await;
    wait_until("the next goes on", async || numbers(&next.all()).contains(&2)).await;
    second.kill();
}

#[tokio::test]
async fn a_second_turn_of_numbering_waits_for_nobody() {
    let t = TestEngine::idle().await;
    let mut other = t.engine.begin().await.expect("begins");
    sqlx::query("SELECT FROM backstitch.event_head FOR UPDATE").execute(&mut *other).await.expect("it numbers");
    emit(&t, "a", 1).await;
    assert_eq!(t.engine.number_events().await.ok(), Some((0, false)));
    other.rollback().await.expect("it ends");
    number(&t.engine).await;
    assert_eq!(t.engine.newest_event().await.ok(), Some(1));
}
