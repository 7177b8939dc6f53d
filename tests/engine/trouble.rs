//! Trouble of the database is waited out. Only what fails alone, while others get through, costs its run.

use std::time::Duration;

use backstitch::engine::{LARGEST_OUTPUT, MaintenanceConfig, OperationStatus, RunFilter, RunId, Verb};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{engine::*, script::*, wait_for, wait_until};

/// Whatever writes to `table` fails with the code that stands in `trouble`, while one does.
async fn make_trouble(t: &TestEngine, table: &str) {
    t.execute("CREATE TABLE IF NOT EXISTS public.trouble (code text, only_for text)").await;
    t.execute(
        "CREATE OR REPLACE FUNCTION public.raise_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE met text;
         BEGIN
            SELECT code INTO met FROM public.trouble
                WHERE only_for IS NULL OR position(only_for in to_jsonb(NEW)::text) > 0 LIMIT 1;
            IF met IS NOT NULL THEN RAISE EXCEPTION 'trouble, as the test says' USING ERRCODE = met; END IF;
            RETURN NEW;
         END $$",
    )
    .await;
    t.execute(&format!(
        "CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.raise_trouble()"
    ))
    .await;
}

async fn is_met(t: &TestEngine, code: &str) {
    t.execute(&format!("INSERT INTO public.trouble VALUES ('{code}')")).await;
}

async fn is_over(t: &TestEngine) {
    t.execute("DELETE FROM public.trouble").await;
}

#[tokio::test]
async fn trouble_of_the_server_costs_no_run() {
    let t = TestEngine::new().await;
    make_trouble(&t, "backstitch.step").await;
    // No space, a time-out, a conflict, a read-only window, a broken page, a missing right.
    for code in ["53100", "57014", "40001", "25006", "XX001", "42501"] {
        is_met(&t, code).await;
        let mut runs = Vec::new();
        for _ in 0..12 {
            runs.push(t.start(&[call("reserve"), call("note")]).await);
        }
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let ended: i64 = t.count("run WHERE status >= 5").await;
        let stuck = t.count("attention").await;
        is_over(&t).await;
        assert_eq!(stuck, 0, "{code}: nobody is blamed while nothing gets through; {ended} ended");
        for run in runs {
            t.is(run, "completed").await;
        }
        t.execute("DELETE FROM backstitch.signal").await;
    }
    assert_eq!(t.count("lane").await, 1, "the lane lives");
    t.finish().await;
}

#[tokio::test]
async fn cancelled_statements_of_a_lane_cost_no_run() {
    let mut t = TestEngine::idle().await;
    t.add_worker(config("w0")).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        let mut blocker = t.database().connect("blocker").await;
        let lock = "BEGIN; LOCK TABLE backstitch.step IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut blocker).await.expect("the table is ours");
        for _ in 0..10 {
            runs.push(t.start(&[call("reserve"), call("note")]).await);
        }
        for _ in 0..8 {
            let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'backstitch lane' AND wait_event_type = 'Lock'";
            let _: i64 = sqlx::query_scalar(cancel).fetch_one(t.engine.pool()).await.expect("cancels");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for run in runs {
        t.is(run, "completed").await;
    }
    assert_eq!((t.count("attention").await, t.count("lane").await), (0, 1));
    t.finish().await;
}

/// Starts runs until it is dropped; what they do gets through.
async fn others(t: &TestEngine, times: usize) -> Vec<RunId> {
    let mut runs = Vec::new();
    for _ in 0..times {
        runs.push(t.start(&[call("reserve"), call("note")]).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    runs
}

#[tokio::test]
async fn what_fails_alone_again_and_again_is_quarantined() {
    let t = TestEngine::new().await;
    make_trouble(&t, "backstitch.step").await;
    for code in ["XX000", "57014", "23514"] {
        t.execute(&format!("INSERT INTO public.trouble VALUES ('{code}', 'poison')")).await;
        t.script.on("charge", Side::Run, [Do::Give(json!("poison"))]);
        let poison = t.start(&[call("charge")]).await;
        let runs = others(&t, 160).await;
        let stuck = t.is(poison, "stuck").await;
        assert_eq!(stuck.failure.expect("it says why").code, "unrecordable", "{code}");
        for run in runs {
            t.is(run, "completed").await;
        }
        is_over(&t).await;
    }
    t.finish().await;
}

#[tokio::test]
async fn a_huge_output_costs_its_own_run() {
    let t = TestEngine::new().await;
    t.script.on("once", Side::Run, [Do::Give(json!("x".repeat(LARGEST_OUTPUT)))]);
    let large = t.start(&[call("once")]).await;
    let runs = others(&t, 10).await;
    let ended = t.until(large, "ends", |run| run.finished_at.is_some()).await;
    assert_eq!(ended.failure.expect("it says why").code, "output_too_large");
    for run in runs {
        t.is(run, "completed").await;
    }
    assert_eq!(t.count("lane").await, 1, "the lane lives");
    t.finish().await;
}

#[tokio::test]
async fn trouble_in_a_transactional_step_counts_as_no_attempt() {
    let t = TestEngine::new().await;
    t.execute("CREATE TABLE public.effect (n int)").await;
    make_trouble(&t, "public.effect").await;
    t.script.always("book", Side::Run, Do::Sql("INSERT INTO public.effect VALUES (1)".into(), Do::Ok.into()));
    is_met(&t, "53100").await;
    let run = t.start(&[call("book")]).await;
    wait_until("it was tried more often than it may be", async || t.script.count("book", Side::Run) > 5).await;
    is_over(&t).await;
    let run = t.is(run, "completed").await;
    assert_eq!(forward(&run)[0].attempts, 1);
    t.finish().await;
}

#[tokio::test]
async fn a_bulk_operation_takes_trouble_for_no_refusal() {
    let t = TestEngine::idle().await;
    for _ in 0..10 {
        t.start(&[signal("never", None)]).await;
    }
    make_trouble(&t, "backstitch.run").await;
    is_met(&t, "53100").await;
    let filter = RunFilter { workflow: Some("scripted".to_owned()), ..RunFilter::default() };
    let operation = t.engine.operate_on(&Verb::Cancel, &filter, &operator(), Some(1_000)).await.expect("is accepted");
    let stop = CancellationToken::new();
    let maintenance = t.engine.maintenance(MaintenanceConfig { retry_after: Duration::from_millis(100) });
    let running = tokio::spawn(maintenance.run(stop.clone().cancelled_owned()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    for code in ["57014", "42501"] {
        t.execute(&format!("UPDATE public.trouble SET code = '{code}'")).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    is_over(&t).await;
    let ended = wait_for("the operation ends", async || {
        let seen = t.engine.operation(operation.id).await.map_err(|error| error.to_string())?;
        if seen.status == OperationStatus::Completed { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
    .await;
    assert_eq!((ended.done, ended.refused), (10, 0));
    stop.cancel();
    running.await.expect("no panic");
    t.finish().await;
}
