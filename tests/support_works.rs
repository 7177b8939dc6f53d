//! The test helpers themselves: databases are separate and go away, and waiting says what it waited for.

mod support;

use sqlx::Connection;
use support::{Session, TestDatabase, backend_pid, wait_for_lock, wait_until};

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
