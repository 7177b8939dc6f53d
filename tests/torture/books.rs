//! How each scenario ends: all comes to rest by itself, what was acknowledged is there, and the books are right.

use std::time::{Duration, Instant};

use crate::{
    stage::{GOES_ON_WITHIN, Stage},
    support::{at_rest, process, wait_for_within},
};

const REST_WITHIN: Duration = Duration::from_secs(40);
const LOST_ORDERS: &str = "SELECT o.id FROM unnest($1::text[]) o (id)
    WHERE NOT EXISTS (SELECT FROM shop.orders x WHERE x.id = o.id::uuid)";
const LOST_RUNS: &str = "SELECT r.id FROM unnest($1::text[]) r (id)
    WHERE NOT EXISTS (SELECT FROM backstitch.run x WHERE x.id = r.id::uuid)";

/// A run that is started now is carried out in time, although nothing has been mended.
pub(crate) async fn work_goes_on(stage: &mut Stage, after: &str) {
    let began = Instant::now();
    let run = stage.front.run(&format!("probe-{after}-{}", rand::random::<u64>())).await;
    let accepted = began.elapsed();
    wait_for_within(GOES_ON_WITHIN, &format!("a run is carried out after: {after}"), async || {
        stage.all_alive();
        let query = "SELECT concat_ws(' ', status, wait_kind, failure) FROM backstitch.run WHERE id = $1::uuid";
        let found: String = sqlx::query_scalar(query).bind(&run).fetch_one(&stage.pool).await.expect("it is there");
        if found == "5" { Ok(()) } else { Err(found) }
    })
    .await;
    println!("after {after}: accepted in {accepted:.1?}, done in {:.1?}", began.elapsed());
}

/// Everything that has to be true in the end, after the customers have gone; then the stage is struck.
pub(crate) async fn close(mut stage: Stage) {
    let strangers = settle(&mut stage).await;
    assert_eq!(strangers, [""; 0], "payments for orders that there are not");
    stage.strike().await;
}

/// The same, but it gives the orders that only the gateway has, and leaves all running.
pub(crate) async fn settle(stage: &mut Stage) -> Vec<String> {
    until_all_rest(stage).await;
    let (orders, runs, wrong) = {
        let mut answers = stage.front.answers();
        let (again, answered) = (answers.again, answers.orders.len() + answers.runs.len());
        println!(
            "{answered} acknowledged; again after 503 and after silence: {again:?}; slowest {:.1?}",
            answers.slowest
        );
        (std::mem::take(&mut answers.orders), std::mem::take(&mut answers.runs), std::mem::take(&mut answers.wrong))
    };
    assert!(!orders.is_empty() && !runs.is_empty(), "nobody ordered");
    for (lost, what, ids) in [(LOST_ORDERS, "orders", orders), (LOST_RUNS, "runs", runs)] {
        let ids: Vec<String> = ids.into_iter().collect();
        let lost: Vec<String> = sqlx::query_scalar(lost).bind(&ids).fetch_all(&stage.pool).await.expect("reads");
        assert_eq!(lost, [""; 0], "acknowledged {what} that are not there");
    }
    assert_eq!(wrong, [""; 0], "answers that trouble does not excuse");
    let strangers = at_rest::ledgers_agree(&stage.pool, &stage.simulator).await;
    process::run(&stage.server.url(), &["doctor"]).await;
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE state LIKE 'idle in transaction%' AND state_change < now() - interval '5 s' AND usename <> 'backstitch'";
    // One whose client fell silent may stand still for ten seconds; then its server ends it.
    wait_for_within(Duration::from_secs(15), "no session is left in a transaction", async || {
        let left = stage.ask::<i64>(open).await;
        if left == 0 { Ok(()) } else { Err(format!("{left} are")) }
    })
    .await;
    stage.all_alive();
    let log = stage.log();
    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).take(5).collect();
    assert!(panics.is_empty(), "{panics:?}");
    strangers
}

async fn until_all_rest(stage: &mut Stage) {
    let began = Instant::now();
    while !at_rest::all_rest(&stage.pool, &stage.simulator).await.expect("the queries work") {
        stage.all_alive();
        if began.elapsed() > REST_WITHIN {
            let open = at_rest::not_at_rest(&stage.pool).await.expect("the query works");
            let shown = open.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
            panic!("{} are not at rest, or money is on its way:\n{shown}", open.len());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("at rest after {:.1?}", began.elapsed());
}
