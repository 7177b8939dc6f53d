//! Groups with runs of several lanes: one transaction, each lane's fence, and one order of locks.

use backstitch::engine::WorkerConfig;

use crate::{
    groups::{RECORDED, World, are_claimed, gather, have_completed, plain, read, roomy, start, with_worker},
    races::locked,
    support::{engine::*, wait_until},
};

/// A worker with runs that wait for the next group, of both of its lanes; how many they are, with the two that are under way.
async fn with_runs_of_two_lanes() -> (TestEngine, World, usize) {
    let (t, world) = with_worker(WorkerConfig { lanes: 2, ..roomy("w0") }).await;
    gather(&t, &world, vec![]).await;
    let (mut runs, mut lanes) = (2, 0);
    while lanes < 2 && runs < 400 {
        start(&t, "many", (100..110).map(plain).collect()).await;
        runs += 10;
        are_claimed(&t, runs).await;
        let of_gathered =
            "SELECT count(DISTINCT lane) FROM (SELECT lane FROM backstitch.ready ORDER BY run_id OFFSET 2) r";
        lanes = read(&t, of_gathered).await;
    }
    assert_eq!(lanes, 2, "both lanes have some");
    t.execute("CREATE TABLE held AS SELECT run_id, lane FROM backstitch.ready").await;
    (t, world, runs)
}

/// The sessions that wait for the rows of a group's runs, and those of them that have locked a lane.
macro_rules! that_wait {
    ($and:literal) => {
        concat!(
            "SELECT count(*) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'
                AND a.query LIKE '%Locks the runs that a step%' AND a.pid <> pg_backend_pid() AND ",
            $and
        )
    };
}
const GROUPS_THAT_WAIT: &str = that_wait!("true");
const WITH_A_LANE: &str =
    that_wait!("EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.relation = 'backstitch.lane'::regclass)");

/// A run that a caller keeps locked for long holds up no lane; and groups lock runs in the order in which all others do.
#[tokio::test]
async fn a_group_has_all_its_runs_before_a_lane() {
    let (t, world, runs) = with_runs_of_two_lanes().await;
    let of_the_last_lane = "SELECT FROM backstitch.run
        WHERE id = (SELECT run_id FROM held ORDER BY lane DESC, run_id DESC LIMIT 1) FOR UPDATE";
    let held = locked(&t, of_the_last_lane).await;
    world.open();
    wait_until("a group waits for the run", async || read(&t, GROUPS_THAT_WAIT).await > 0).await;
    assert_eq!(read(&t, WITH_A_LANE).await, 0, "none of them holds a lane");
    held.rollback().await.expect("lets go");
    have_completed(&t, runs).await;
    assert_eq!(read(&t, RECORDED).await, runs as i64);
    t.finish().await;
}

#[tokio::test]
async fn runs_of_two_lanes_share_a_commit() {
    let (t, world, runs) = with_runs_of_two_lanes().await;
    world.open();
    have_completed(&t, runs).await;
    assert_eq!(read(&t, RECORDED).await, runs as i64);
    let across = "SELECT coalesce(max(lanes), 0) FROM (SELECT count(DISTINCT h.lane) AS lanes
        FROM effect e JOIN held h ON h.run_id = e.run GROUP BY e.xmin::text) one";
    assert_eq!(read(&t, across).await, 2);
    t.finish().await;
}
