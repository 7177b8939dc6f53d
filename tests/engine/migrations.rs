//! What a migration makes of a database that is in use: all of it is still there, and goes on.

use backstitch::engine::RunId;
use serde_json::json;
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::{TestDatabase, engine::*, script::*};

const DAY: u64 = 24 * 3600;

/// Ids of runs by where they are to be: in the table that was there before there were weeks, or in the default one.
async fn ids(t: &TestEngine) -> Vec<(Uuid, &'static str)> {
    let now = t.engine.now().await.expect("a clock").timestamp().cast_unsigned();
    let at = |seconds| Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
    let no_time = |first: u128| Uuid::from_u128(first << 120 | 0x4000_8000_0000_0000_0000);
    vec![
        (at(now), "before"),
        (at(now - 60 * DAY), "before"),
        (at(1_500_000_000), "before"),
        (no_time(0x00), "before"),
        (at(now + 15 * DAY), "default"),
        (no_time(0xfe), "default"),
    ]
}

async fn texts(t: &TestEngine, sql: &str) -> Vec<String> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(t.engine.pool())
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Everything that is known of runs and steps, but for one run that somebody works on.
async fn rows(t: &TestEngine, but: RunId) -> Vec<String> {
    let runs = format!("SELECT r::text FROM backstitch.run r WHERE id <> '{but}'");
    texts(t, &format!("{runs} UNION ALL SELECT s::text FROM backstitch.step s WHERE run_id <> '{but}' ORDER BY 1"))
        .await
}

/// Each partition with all of its indexes, and how full its pages are made.
async fn indexes(t: &TestEngine, parent: &str) -> Vec<String> {
    texts(
        t,
        &format!(
            "SELECT concat_ws(', ', substr(c.relname, strpos(c.relname, '_') + 1), c.reloptions::text, (
                SELECT string_agg(replace(substring(pg_get_indexdef(x.indexrelid) FROM 'USING (.*)'),
                    ' int4_minmax_multi_ops', ''), ', ' ORDER BY a.amname, pg_get_indexdef(x.indexrelid, 1, true))
                FROM pg_index x JOIN pg_class k ON k.oid = x.indexrelid JOIN pg_am a ON a.oid = k.relam
                WHERE x.indrelid = c.oid AND x.indisvalid))
            FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
            WHERE p.inhparent = 'backstitch.{parent}'::regclass ORDER BY c.relname"
        ),
    )
    .await
}

/// Starts one run and has it come to rest.
async fn start(t: &TestEngine, id: Uuid, program: &[Op], status: &'static str) -> RunId {
    let mut request = request("scripted", program).key(id.to_string());
    request.id = Some(id);
    request.tags.insert("batch".to_owned(), "one".to_owned());
    let run = t.engine.start(request).await.expect("it is accepted").run;
    t.is(run, status).await.id
}

/// What today's worker reads and writes; the version that ran before 0005 did not.
async fn lend_columns(t: &TestEngine) {
    for change in [
        "ALTER TABLE backstitch.step ADD COLUMN attempt_log json[]",
        "CREATE VIEW backstitch.unhealthy AS SELECT * FROM backstitch.exceptional",
        "ALTER TABLE backstitch.step RENAME asked TO issued_after",
        "ALTER TABLE backstitch.lane ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()",
        "ALTER TABLE backstitch.worker ADD COLUMN release bigint NOT NULL DEFAULT 3",
        "ALTER TABLE backstitch.workflow ADD internal boolean DEFAULT false, ADD public_signals text[] DEFAULT '{}',
            ADD input json, ADD output json, ADD deadline_ms bigint",
        "CREATE TABLE backstitch.activity (name text PRIMARY KEY, undoable boolean, verifiable boolean,
            transactional boolean, queue text, policy json, input json, output json)",
    ] {
        t.execute(change).await;
    }
}

#[tokio::test]
async fn runs_from_before_weekly_partitions_go_on() {
    let db = TestDatabase::of_before(4).await;
    let mut t = TestEngine::on(db.url()).await;
    t.db = Some(db);
    lend_columns(&t).await;
    // One worker stays over the migration, with a run in hand and its statements prepared.
    t.add_worker(backstitch::engine::WorkerConfig { slots: 1, ..config("stays") }).await;
    let gate = t.script.gate("charge", Side::Run, Do::Ok);
    let held = start(&t, Uuid::now_v7(), &[call("reserve"), call("charge"), call("ship")], "running").await;
    gate.is_reached().await;
    t.add_worker(config("before")).await;
    let ids = ids(&t).await;
    for (id, _) in &ids {
        start(&t, *id, &[call("reserve"), signal("go", None), call("ship")], "waiting").await;
        start(&t, Uuid::from_u128(id.as_u128() + 1), &[call("reserve")], "completed").await;
    }
    t.workers[1].drain().await;
    let due = start(&t, Uuid::now_v7(), &[call("note")], "pending").await;
    let before = rows(&t, held).await;
    assert_eq!(before.len(), 13 + 18, "runs and steps");

    // The worker's statements ran before 0008 did; the column is there already, which that migration allows for.
    t.execute("DROP VIEW backstitch.unhealthy").await;
    t.execute("ALTER TABLE backstitch.step RENAME issued_after TO asked").await;
    let drop = "DROP internal, DROP public_signals, DROP input, DROP output, DROP deadline_ms";
    t.execute(&format!("ALTER TABLE backstitch.workflow {drop}")).await;
    t.execute("DROP TABLE backstitch.activity").await;
    t.db.as_ref().expect("it has one").go_on_as_before(10).await;
    t.engine.migrate().await.expect("the old history is adopted");
    assert_eq!(rows(&t, held).await, before);
    for (id, place) in &ids {
        let found = "SELECT (SELECT relname::text FROM pg_class c WHERE c.oid = x.tableoid) FROM backstitch";
        let places =
            texts(&t, &format!("{found}.run x WHERE id = '{id}' UNION ALL {found}.step x WHERE run_id = '{id}'")).await;
        let [run, steps @ ..] = places.as_slice() else { panic!("{id} is nowhere") };
        assert_eq!(*run, format!("run_{place}"), "{id}");
        assert!(steps.len() == 2 && steps.iter().all(|step| *step == format!("step_{place}")), "{places:?}");
    }
    // The table of before covers this week. A week whose runs are in the default partition gets none.
    let mut tables = texts(
        &t,
        "SELECT to_char(week, 'YYYY_MM_DD') FROM generate_series(1, 4) n, LATERAL (
            SELECT (backstitch.week_of(now()) + n * interval '168 hours') AT TIME ZONE 'UTC' AS week) w
        WHERE NOT week + interval '168 hours' > (now() + interval '15 days') AT TIME ZONE 'UTC'
           OR week > (now() + interval '15 days') AT TIME ZONE 'UTC'",
    )
    .await;
    assert_eq!(tables.len(), 3);
    tables.extend(["before".to_owned(), "default".to_owned()]);
    let all = "brin (workflow_id) WITH (pages_per_range='32'), btree (id), \
        btree (parent_id) WHERE (parent_id IS NOT NULL), gin (tags) WITH (fastupdate=off) WHERE (tags IS NOT NULL)";
    let expected = |options: &str, indexes: &str| -> Vec<String> {
        tables.iter().map(|table| format!("{table}, {options}, {indexes}")).collect()
    };
    assert_eq!(indexes(&t, "run").await, expected("{fillfactor=45}", all));
    assert_eq!(indexes(&t, "step").await, expected("{fillfactor=95}", "btree (run_id, seq, direction)"));

    gate.open();
    t.is(held, "completed").await;
    t.add_worker(config("after")).await;
    t.is(due, "completed").await;
    let [(stays, _), go_on @ ..] = ids.as_slice() else { panic!("there are six") };
    for (id, _) in go_on {
        t.send(*id, "go", json!(7)).await;
        let run = t.is(*id, "completed").await;
        assert_eq!(output(&run), json!([{ "by": "reserve" }, 7, { "by": "ship" }]));
    }
    let again = t.engine.start(request("scripted", &[call("note")]).key(stays.to_string())).await;
    assert_eq!(again.map_err(|error| error.code().to_owned()), Err("key_conflict".to_owned()));

    // It is dropped as any other week; what has not ended is carried over.
    t.advance(45.0 * DAY as f64).await;
    while t.engine.keep().await.expect("the database is there") {}
    assert_eq!(texts(&t, "SELECT id::text FROM backstitch.run").await, [stays.to_string()]);
    assert_eq!(texts(&t, "SELECT 'there' WHERE to_regclass('backstitch.run_before') IS NOT NULL").await, [""; 0]);
    t.send(*stays, "go", json!(7)).await;
    t.is(*stays, "completed").await;
    t.finish().await;
}
