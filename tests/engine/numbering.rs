//! What numbering reads: as the server counts it, which a connection tells about once a second.

use backstitch::engine::{Engine, Registry, guarded};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::outbox::{emit, number};
use crate::support::{engine::*, wait_for};

/// Events that are kept, and turns that number one more each.
const KEPT: i64 = 20_000;
const TURNS: i64 = 20;

async fn insert(pool: &PgPool, events: i64) {
    let query = "INSERT INTO backstitch.event (id, type, subject, dataschema, data)
        SELECT gen_random_uuid(), 't', n::text, 'd', '{}' FROM generate_series(1, $1) n";
    sqlx::query(query).bind(events).execute(pool).await.expect("inserts");
}

/// Rows and entries of indexes that were read of the events, once so many inserts have been counted: what the only connection of
/// this pool did before them has been counted then, too.
async fn read_so_far(pool: &PgPool, inserted: i64) -> i64 {
    wait_for("the server has counted it", async || {
        let query = "SELECT n_tup_ins >= $1, seq_tup_read::bigint + (SELECT sum(idx_tup_read)::bigint
                FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
            FROM pg_stat_user_tables t WHERE relid = 'backstitch.event'::regclass";
        let (counted, read): (bool, i64) = sqlx::query_as(query).bind(inserted).fetch_one(pool).await.expect("counts");
        counted.then_some(read).ok_or_else(|| format!("{read} read"))
    })
    .await
}

#[tokio::test]
async fn numbering_reads_what_is_new_not_what_is_kept() {
    let t = TestEngine::idle().await;
    let pool = guarded(PgPoolOptions::new()).max_connections(1).connect_lazy(t.database().url()).expect("a URL");
    let engine = Engine::new(pool.clone(), Registry::new());
    // Its plans are made while there is hardly anything.
    for _ in 0..8 {
        insert(&pool, 1).await;
        number(&engine).await;
    }
    insert(&pool, KEPT).await;
    number(&engine).await;
    // What is not committed leaves a gap, into which each turn looks.
    let mut open = t.engine.begin().await.expect("begins");
    insert_one(&mut open).await;
    emit(&t, "a", 1).await;
    number(&engine).await;
    assert_eq!(t.count("event_gap").await, 1);
    let before = read_so_far(&pool, KEPT + 8).await;
    for _ in 0..TURNS {
        insert(&pool, 1).await;
        number(&engine).await;
    }
    let after = read_so_far(&pool, KEPT + 8 + TURNS).await;
    assert!(after - before < KEPT / 4, "{} rows were read in {TURNS} turns", after - before);
    open.rollback().await.expect("rolls back");
}

async fn insert_one(conn: &mut sqlx::PgConnection) {
    let query = "INSERT INTO backstitch.event (id, type, subject, dataschema, data)
        VALUES (gen_random_uuid(), 't', 's', 'd', '{}')";
    sqlx::query(query).execute(conn).await.expect("inserts");
}
