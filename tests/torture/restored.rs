//! An older backup is restored beside a worker that lives on and takes no notice.
//!
//! Lane numbers that it has got since the backup are given out a second time. The other worker with its number is killed: its
//! runs must not be held for ever because the first one's heartbeats look like its own.

use std::time::Duration;

use crate::{
    books,
    customers::Crowd,
    stage::{Stage, ask_alone, dice, execute_alone},
    support::wait_until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_backup_is_restored() {
    let mut dice = dice();
    let mut stage = Stage::set("restored", 1).await;
    let crowd = Crowd::come(&stage.front, &mut dice, false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    crowd.go().await;

    away(&mut stage, &["CREATE DATABASE backup TEMPLATE backstitch"]).await;
    let kept = {
        let answers = stage.front.answers();
        (answers.orders.clone(), answers.runs.clone())
    };
    stage.add_worker();
    let crowd = Crowd::come(&stage.front, &mut dice, false);
    tokio::time::sleep(Duration::from_secs(4)).await;
    crowd.go().await;

    // What was acknowledged since the backup is lost with the disk; the gateway has it still.
    let lost = {
        let mut answers = stage.front.answers();
        let lost = answers.orders.difference(&kept.0).count();
        (answers.orders, answers.runs) = kept;
        lost
    };
    away(&mut stage, &["ALTER DATABASE backstitch RENAME TO broken", "ALTER DATABASE backup RENAME TO backstitch"])
        .await;
    stage.add_worker();
    let crowd = Crowd::come(&stage.front, &mut dice, false);
    tokio::time::sleep(Duration::from_secs(5)).await;
    stage.kill_worker(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    crowd.go().await;
    books::work_goes_on(&mut stage, "a restore").await;
    let strangers = books::settle(&mut stage).await;
    assert!(strangers.len() <= lost, "{lost} were lost, but the gateway knows {} that we don't", strangers.len());
    stage.strike().await;
}

/// Nobody is connected while these are carried out.
async fn away(stage: &mut Stage, statements: &[&str]) {
    stage.proxy.refuse(true);
    stage.proxy.cut();
    stage.pool.close().await;
    let url = stage.server.url_of("postgres");
    let gone =
        "SELECT count(*)::int FROM pg_stat_activity WHERE datname = 'backstitch' AND backend_type = 'client backend'";
    wait_until("nobody is connected", async || ask_alone(&url, gone).await == 0).await;
    for statement in statements {
        execute_alone(&url, statement).await;
    }
    stage.reconnect().await;
    stage.proxy.refuse(false);
}
