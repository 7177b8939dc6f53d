//! What numbering reads, as the server counts it.

use backstitch::engine::{Engine, Registry, guarded};
use sqlx::{PgPool, postgres::PgPoolOptions};

use super::outbox::{emit, number};
use crate::support::engine::*;

/// Events that are kept, and turns that number one more each.
const KEPT: i64 = 20_000;
const TURNS: i64 = 20;

async fn insert(pool: &PgPool, events: i64) {
    let query = "INSERT INTO backstitch.event (id, type, subject, dataschema, data)
        SELECT gen_random_uuid(), 't', n::text, 'd', '{}' FROM generate_series(1, $1) n";
    sqlx::query(query).bind(events).execute(pool).await.expect("inserts");
}

/// Rows and entries of indexes that were read of the events, by the only connection of this pool and before this.
async fn read_so_far(pool: &PgPool) -> i64 {
    // Counted by the time that it is answered.
    sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await.expect("it is asked for");
    let query = "SELECT seq_tup_read::bigint + (SELECT sum(idx_tup_read)::bigint
            FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
        FROM pg_stat_user_tables t WHERE relid = 'backstitch.event'::regclass";
    sqlx::query_scalar(query).fetch_one(pool).await.expect("counts")
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
    let before = read_so_far(&pool).await;
    for _ in 0..TURNS {
        insert(&pool, 1).await;
        number(&engine).await;
    }
    let after = read_so_far(&pool).await;
    assert!(after - before < KEPT / 4, "{} rows were read in {TURNS} turns", after - before);
    open.rollback().await.expect("rolls back");
}

async fn insert_one(conn: &mut sqlx::PgConnection) {
    let query = "INSERT INTO backstitch.event (id, type, subject, dataschema, data)
        VALUES (gen_random_uuid(), 't', 's', 'd', '{}')";
    sqlx::query(query).execute(conn).await.expect("inserts");
}
