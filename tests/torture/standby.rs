//! Stock streaming replication: the synchronous standby freezes, then the primary dies and the standby is promoted.
//!
//! Writes without the standby's word must be answered in time, and not with a promise; what was promised is on the new primary.

use std::{path::Path, process::Command, time::Duration};

use backstitch::embedded::{Embedded, Options};

use crate::{
    books,
    customers::Crowd,
    stage::{Stage, ask_alone, dice, execute_alone},
    support::{process, wait_until_within},
};

const FROZEN_FOR: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_freezes_and_is_promoted() {
    let mut dice = dice();
    let mut stage = Stage::set("standby", 2).await;
    let home = std::env::temp_dir().join(format!("backstitch-test-standby-{}", std::process::id()));
    let standby = follow(&stage, &home).await;
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    tokio::time::sleep(Duration::from_secs(3)).await;

    let receiver = receiver(&standby).await;
    process::stop(receiver);
    let not_ready = async || stage.front.readiness().await != Some(200);
    wait_until_within(FROZEN_FOR, "the API says that it can't write", not_ready).await;
    process::kill(stage.server.pid().expect("it runs"));
    process::go_on(receiver);
    wait_until_within(Duration::from_secs(20), "the primary is gone", async || stage.server.pid().is_none()).await;
    stage.pool.close().await;
    execute_alone(&standby.url(), "SELECT pg_promote(true)").await;
    let dead = stage.move_to(standby).await;
    stage.proxy.cut();
    drop(dead);
    books::work_goes_on(&mut stage, "a promotion").await;
    crowd.go().await;
    let slowest = stage.front.answers().slowest;
    books::close(stage).await;
    let _ = std::fs::remove_dir_all(&home);
    assert!(slowest < Duration::from_secs(10), "a customer waited {slowest:?} for an answer");
}

/// A standby of the stage's server, whose word each commit waits for from now on.
async fn follow(stage: &Stage, home: &Path) -> Embedded {
    let primary = &stage.server;
    std::fs::create_dir_all(home).expect("the temporary directory is writable");
    let socket = primary.socket();
    let host = socket.parent().expect("a directory");
    let copied = Command::new(primary.server().bin.join("pg_basebackup"))
        .args(["-U", "backstitch", "-R", "-X", "stream", "-c", "fast", "-h"])
        .arg(host)
        .arg("-D")
        .arg(home.join("pg"))
        .output()
        .expect("it is installed");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    // The primary's socket is in its data directory, and its lock has been copied along.
    let _ = std::fs::remove_file(home.join("pg/.s.PGSQL.5432.lock"));
    let standby = Embedded::start_with(home, Options::default()).await.expect("it follows");
    stage.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    stage.execute("SELECT pg_reload_conf()").await;
    let in_step = "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'";
    wait_until_within(Duration::from_secs(20), "the standby is in step", async || stage.ask(in_step).await).await;
    standby
}

/// The process that takes what the primary sends.
async fn receiver(standby: &Embedded) -> u32 {
    let pid: i32 = ask_alone(&standby.url(), "SELECT pid FROM pg_stat_wal_receiver").await;
    u32::try_from(pid).expect("a process id")
}
