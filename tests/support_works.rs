//! The test helpers themselves: databases are separate and go away, waiting says what it waited for, and the proxy breaks what it
//! says.

mod support;

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use support::{Proxy, Session, TestDatabase, Way, backend_pid, wait_for_lock, wait_until};
use tokio::time::timeout;

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = tokio::join!(TestDatabase::new(), TestDatabase::new());
    sqlx::query("CREATE TABLE mine (x int)").execute(one.pool()).await.expect("it is ours");
    let elsewhere: Option<String> =
        sqlx::query_scalar("SELECT to_regclass('mine')::text").fetch_one(other.pool()).await.expect("reads");
    assert_eq!(elsewhere, None, "a table of one database is seen in another");
}

#[tokio::test]
async fn a_database_in_use_is_dropped_with_its_test() {
    let observer = TestDatabase::new().await;
    let doomed = TestDatabase::new().await;
    let mut session = doomed.connect("still-here").await;
    let url = doomed.url().to_owned();
    drop(doomed);
    assert!(session.ping().await.is_err(), "its sessions end with it");
    assert!(sqlx::PgConnection::connect(&url).await.is_err(), "it is gone");
    observer.pool().acquire().await.expect("the others live on");
}

#[tokio::test]
async fn a_session_waiting_for_a_lock_is_noticed() {
    let database = TestDatabase::new().await;
    let (mut holder, mut waiter) = (database.connect("holder").await, database.connect("waiter").await);
    sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut holder).await.expect("nobody has it");
    let pid = backend_pid(&mut waiter).await;
    let waiting = tokio::spawn(async move { sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut waiter).await });
    wait_for_lock(database.pool(), Session::Pid(pid)).await;
    wait_for_lock(database.pool(), Session::Application("waiter")).await;
    assert!(!waiting.is_finished());
    sqlx::query("SELECT pg_advisory_unlock(1)").execute(&mut holder).await.expect("we have it");
    wait_until("the waiter has the lock", async || waiting.is_finished()).await;
}

const SOON: Duration = Duration::from_secs(20);
const A_WHILE: Duration = Duration::from_millis(300);

async fn answers(connection: &mut PgConnection) -> bool {
    timeout(SOON, sqlx::query("SELECT 1").execute(connection)).await.is_ok_and(|answer| answer.is_ok())
}

async fn proxied(proxy: &Proxy) -> PgConnection {
    PgConnection::connect(proxy.url()).await.expect("the proxy lets it through")
}

#[tokio::test]
async fn a_frozen_connection_is_silent_and_new_ones_work() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let mut old = proxied(&proxy).await;
    assert!(answers(&mut old).await);
    proxy.freeze();
    let silent = tokio::spawn(async move {
        let answer = sqlx::query("SELECT 1").execute(&mut old).await;
        (old, answer)
    });
    assert!(answers(&mut proxied(&proxy).await).await, "a new one works");
    tokio::time::sleep(A_WHILE).await;
    assert!(!silent.is_finished(), "neither answer nor error");
    proxy.heal();
    let (_, answer) = timeout(SOON, silent).await.expect("it comes").expect("no panic");
    answer.expect("what was held back arrives");
    proxy.freeze_all();
    assert!(timeout(A_WHILE, PgConnection::connect(proxy.url())).await.is_err(), "new ones are frozen as well");
}

#[tokio::test]
async fn a_statement_lands_whose_answer_is_frozen() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let mut connection = proxied(&proxy).await;
    proxy.freeze_way(Way::ToClient);
    // One message: a prepared statement would wait for an answer before it is carried out.
    let made = timeout(A_WHILE, sqlx::raw_sql("CREATE TABLE landed ()").execute(&mut connection)).await;
    assert!(made.is_err(), "no answer");
    wait_until("the table is there", async || {
        let there = "SELECT to_regclass('landed') IS NOT NULL";
        sqlx::query_scalar(there).fetch_one(database.pool()).await.expect("reads")
    })
    .await;
}

#[tokio::test]
async fn connections_are_cut_closed_and_turned_away() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    for way in [None, Some(Way::ToServer), Some(Way::ToClient)] {
        let mut connection = proxied(&proxy).await;
        way.map_or_else(|| proxy.cut(), |way| proxy.half_close(way));
        let broken = timeout(SOON, sqlx::query("SELECT 1").execute(&mut connection)).await.expect("an answer");
        assert!(broken.is_err(), "{way:?}");
        drop(connection);
    }
    wait_until("they are gone", async || proxy.connections() == 0).await;
    proxy.refuse(true);
    assert!(PgConnection::connect(proxy.url()).await.is_err());
    proxy.heal();
    proxied(&proxy).await;
}

#[tokio::test]
async fn a_delay_is_felt_both_ways() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let mut connection = proxied(&proxy).await;
    connection.ping().await.expect("it works");
    proxy.delay(A_WHILE);
    let began = Instant::now();
    connection.ping().await.expect("it works, late");
    assert!(began.elapsed() >= 2 * A_WHILE, "{:?}", began.elapsed());
}
