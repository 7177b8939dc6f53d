//! Runs of thousands of steps: what they cost grows with their length, not faster.

use std::time::{Duration, Instant};

use backstitch::engine::{Context, Failure, Workflow, join_all};
use serde_json::{Value, json};

use crate::support::{engine::*, script::*, wait_for_within};

/// Rows of so many undoable steps side by side, one row after the other; then it fails.
struct Rows;
impl Workflow for Rows {
    const NAME: &'static str = "rows";
    type Input = (u32, u32);
    type Output = ();
    async fn run(&self, cx: &Context, (rows, width): (u32, u32)) -> Result<(), Failure> {
        for _ in 0..rows {
            let calls = join_all((0..width).map(|n| cx.call::<Reserve>(json!(n)))).await;
            calls.into_iter().collect::<Result<Vec<Value>, _>>()?;
        }
        Err(Failure::new("enough", "as the test says"))
    }
}

/// How long all of it takes: forward, and back again.
async fn undone(rows: u32, width: u32) -> Duration {
    let mut t = TestEngine::idle().await;
    t.add_worker_with(config("w0"), t.script.registry().workflow(Rows)).await;
    let began = Instant::now();
    let run = t.start_of("rows", &(rows, width)).await;
    let engine = t.engine.clone();
    wait_for_within(Duration::from_secs(240), "all is undone", async move || {
        match engine.result(run, Duration::from_secs(1)).await.map_err(|error| error.to_string())?.status.word() {
            "compensated" => Ok(()),
            status => Err(status.to_owned()),
        }
    })
    .await;
    let took = began.elapsed();
    let undone = "step WHERE direction = 1 AND outcome = 1";
    assert_eq!(t.count(undone).await, i64::from(rows * width));
    let longest = "SELECT max(cardinality(undo_after)) FROM backstitch.step";
    let longest: Option<i32> = sqlx::query_scalar(longest).fetch_one(t.engine.pool()).await.expect("it is asked for");
    assert!(longest.is_none_or(|longest| longest <= 32), "{longest:?}");
    t.finish().await;
    took
}

#[tokio::test]
async fn four_times_the_steps_take_about_four_times_as_long() {
    // Others work beside it: the 500 are taken before and after.
    let (before, many, after) = (undone(500, 1).await, undone(2_000, 1).await, undone(500, 1).await);
    let few = before.max(after);
    println!("one after the other: 500 in {few:?}, 2,000 in {many:?}");
    // Sixteen times as long would be too long on a machine that is busy with nothing else.
    assert!(many < few * 12, "500 steps take {few:?}, 2,000 take {many:?}");
}

#[tokio::test]
async fn thousands_side_by_side_share_their_commits() {
    let took = undone(2, 1_000).await;
    println!("2,000 side by side in {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// By hand: `cargo test --release --test engine undone_in_half_a_minute -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "half a minute by itself"]
async fn ten_thousand_steps_are_undone_in_half_a_minute() {
    for (rows, width) in [(1_200, 1), (10_000, 1), (1, 4_000)] {
        println!("{rows} rows of {width}: {:?}", undone(rows, width).await);
    }
}
