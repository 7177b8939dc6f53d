//! The binary as a process that is told to end: it gives back what it has, in time. And what `doctor` says of a database.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use backstitch::engine::WorkerConfig;
use tokio::process::Child;

use crate::support::{Proxy, TestDatabase, process, wait_until_within};

/// A server with a worker, at work.
async fn served(database: &TestDatabase, url: &str) -> Child {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--drain", "1s", "--takeover-after", "5s"];
    let mut command = process::shop(url, "http://127.0.0.1:1", &arguments);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    process::ready(&mut server).await;
    // With all its lanes: one that was being opened would stay behind, empty, until it is taken over.
    let at_work = async || lanes(database).await >= WorkerConfig::default().lanes as i64;
    wait_until_within(Duration::from_secs(20), "its worker is at work", at_work).await;
    server
}

async fn lanes(database: &TestDatabase) -> i64 {
    let alive = "SELECT count(*) FROM backstitch.lane WHERE alive";
    sqlx::query_scalar(alive).fetch_one(database.pool()).await.expect("reads")
}

/// Its exit status, if it has one in time.
async fn ended(server: &mut Child, within: Duration) -> Option<i32> {
    let ended = tokio::time::timeout(within, server.wait()).await.expect("it ends in time");
    ended.expect("it is ours").code()
}

#[tokio::test]
async fn a_process_whose_terminal_is_gone_gives_everything_back() {
    let database = TestDatabase::new().await;
    let mut server = served(&database, database.url()).await;
    process::hang_up(server.id().expect("it runs"));
    assert_eq!(ended(&mut server, Duration::from_secs(20)).await, Some(0), "it was not killed");
    assert_eq!(lanes(&database).await, 0);
}

#[tokio::test]
async fn a_process_with_frozen_connections_ends_in_time() {
    let database = TestDatabase::new().await;
    let proxy = Proxy::before(database.url()).await;
    let mut server = served(&database, proxy.url()).await;
    proxy.freeze_all();
    let begun = Instant::now();
    process::terminate(server.id().expect("it runs"));
    // The drain, what lanes may take to give their runs back, and a busy machine.
    assert_eq!(ended(&mut server, Duration::from_secs(1 + 5 + 9)).await, Some(0), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn doctor_notes_the_settings_that_a_database_overrides() {
    let database = TestDatabase::new().await;
    let alter = "DO $$ BEGIN EXECUTE format(
        'ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$";
    sqlx::raw_sql(alter).execute(database.pool()).await.expect("it is ours");
    let said = process::backstitch(database.url()).arg("doctor").output().await.expect("it runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let note = "✓ overridden session settings: database: default_transaction_isolation=serializable; our sessions";
    assert!(said.contains(note), "a note, no breach: {said}");
}
