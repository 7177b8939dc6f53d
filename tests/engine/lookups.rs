//! What a lane asks for, it looks up by key, also where its plans were made while the tables were new: rows that are kept cost
//! nothing. As the server counts what is read, which a connection tells about once a second.

use backstitch::engine::MaintenanceConfig;

use crate::support::{engine::*, script::*, wait_for};

/// Runs that have ended, with two steps each.
const KEPT: i64 = 4_000;
const RUNS: i64 = 12;
/// Runs that have not ended.
const OPEN: &str = "SELECT (SELECT count(*) FROM backstitch.ready) + (SELECT count(*) FROM backstitch.timer)";
/// Partitions with rows that the planner takes for empty.
const TAKEN_FOR_EMPTY: &str = "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent IN ('backstitch.run'::regclass, 'backstitch.step'::regclass)
      AND reltuples = 0 AND pg_relation_size(c.oid) > 0";

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

/// Runs the program so many times, one after another. Nothing but lanes looks at a run meanwhile.
async fn run_through(t: &TestEngine, program: &[Op], times: i64) {
    for _ in 0..times {
        t.start(program).await;
        wait_for("it has ended", async || {
            // One statement: a run that is parked or woken is in one of them.
            let open: i64 = sqlx::query_scalar(OPEN).fetch_one(t.engine.pool()).await.expect("counts");
            if open == 0 { Ok(()) } else { Err(format!("{open} open")) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_lane_reads_only_what_it_works_on() {
    let mut t = TestEngine::idle().await;
    // As maintenance does on a new database.
    t.execute("ANALYZE backstitch.run, backstitch.step").await;
    t.add_worker(config("w0")).await;
    // Undoable steps and a wait, whose rows change, and a transactional one.
    let program = [call("reserve"), call("book"), Op::Sleep(200), call("reserve")];
    run_through(&t, &program, 1).await;
    keep_ended_runs(&t).await;
    let before = [read_so_far(&t, "run", 1).await, read_so_far(&t, "step", 3).await];
    run_through(&t, &program, RUNS).await;
    let after = [read_so_far(&t, "run", 1 + RUNS).await, read_so_far(&t, "step", 3 + 3 * RUNS).await];
    let read = [after[0] - before[0], after[1] - before[1]];
    assert!(
        read.iter().all(|read| *read < 4 * KEPT),
        "{read:?} entries and rows of run and step were read for {RUNS} runs"
    );
    assert_eq!(t.count("run WHERE status = 5").await, 1 + KEPT + RUNS);
    t.finish().await;
}

#[tokio::test]
async fn a_table_that_fills_is_planned_for_anew() {
    let t = TestEngine::idle().await;
    let count =
        async || -> i64 { sqlx::query_scalar(TAKEN_FOR_EMPTY).fetch_one(t.engine.pool()).await.expect("counts") };
    t.execute("ANALYZE backstitch.run, backstitch.step").await;
    // So that it is our maintenance that looks, and not Postgres' own.
    t.execute(
        "DO $$ DECLARE part regclass; BEGIN
            FOR part IN SELECT inhrelid::regclass FROM pg_inherits
                WHERE inhparent IN ('backstitch.run'::regclass, 'backstitch.step'::regclass)
            LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', part); END LOOP;
        END $$",
    )
    .await;
    keep_ended_runs(&t).await;
    assert_eq!(count().await, 2, "the planner takes this week's partitions for empty");
    let maintenance = t.engine.maintenance(MaintenanceConfig::default());
    let maintained = tokio::spawn(maintenance.run(std::future::pending()));
    wait_for("the planner knows", async || match count().await {
        0 => Ok(()),
        left => Err(format!("{left} are taken for empty")),
    })
    .await;
    maintained.abort();
    t.finish().await;
}
