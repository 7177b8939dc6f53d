//! What a lane asks for, it looks up by key, also where its plans were made while the tables were new: rows that are kept cost
//! nothing. As the server counts what is read, which a connection tells about once a second.

use crate::support::{engine::*, script::*, wait_for};

/// Runs that have ended, with two steps each.
const KEPT: i64 = 4_000;
const RUNS: i64 = 12;

/// Entries of indexes and rows that were read of the partitions of a table, once so many of its rows have been changed.
async fn read_so_far(t: &TestEngine, table: &str, changed: i64) -> i64 {
    wait_for("the server has counted it", async || {
        let query = "SELECT sum(n_tup_upd)::bigint, (sum(seq_tup_read)
                + sum((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid)))::bigint
            FROM pg_stat_user_tables t JOIN pg_inherits p ON p.inhrelid = t.relid
            WHERE p.inhparent = ('backstitch.' || $1)::regclass";
        let counts = sqlx::query_as(query).bind(table).fetch_one(t.engine.pool()).await;
        let (counted, read): (i64, i64) = counts.expect("counts");
        if counted >= changed { Ok(read) } else { Err(format!("{counted} of {changed} changes")) }
    })
    .await
}

async fn keep_ended_runs(t: &TestEngine) {
    let runs = "INSERT INTO backstitch.run (id, created_at, workflow_id, queue, input, status, finished_at)
        SELECT (left(replace(backstitch.id_at(t)::text, '-', ''), 12) || right(md5(n::text), 20))::uuid, t, 1, 'default',
            '{}', 5, t
        FROM generate_series(1, $1) n, backstitch.now() t";
    sqlx::query(runs).bind(KEPT).execute(t.engine.pool()).await.expect("inserts");
    t.execute(
        "INSERT INTO backstitch.step (run_id, seq, direction, kind, name, issued_after, outcome, attempts, generation, undoable)
        SELECT id, seq, 0, 0, 'old', 0, 1, 1, 0, true FROM backstitch.run, generate_series(101, 102) seq WHERE status = 5",
    )
    .await;
}

#[tokio::test]
async fn a_lane_reads_only_what_it_works_on() {
    let mut t = TestEngine::idle().await;
    // As maintenance does on a new database.
    t.execute("ANALYZE backstitch.run, backstitch.step").await;
    t.add_worker(config("w0")).await;
    // Undoable steps and a wait, whose rows change, and a transactional one.
    let program = [call("reserve"), call("book"), Op::Sleep(200), call("reserve")];
    t.ends(&program, "completed").await;
    keep_ended_runs(&t).await;
    let kept = t.count("run WHERE status = 5").await;
    assert!(kept > KEPT, "{kept}");
    let before = [read_so_far(&t, "run", 1).await, read_so_far(&t, "step", 3).await];
    for _ in 0..RUNS {
        t.ends(&program, "completed").await;
    }
    let after = [read_so_far(&t, "run", 1 + RUNS).await, read_so_far(&t, "step", 3 + 3 * RUNS).await];
    let read = [after[0] - before[0], after[1] - before[1]];
    assert!(
        read.iter().all(|read| *read < 4 * KEPT),
        "{read:?} entries and rows of run and step were read for {RUNS} runs"
    );
    t.finish().await;
}
