//! A database whose owner has opinions: short statement and lock timeouts, serializable transactions, and read-only for a while;
//! with tables locked for longer than a statement may take.

use std::time::Duration;

use crate::{
    books,
    customers::Crowd,
    stage::{Stage, dice, rounds},
};
use backstitch::embedded::Embedded;
use sqlx::{AssertSqlSafe, Connection};

const OPINIONS: [&str; 4] = [
    "ALTER DATABASE backstitch SET statement_timeout = '700ms'",
    "ALTER DATABASE backstitch SET lock_timeout = '500ms'",
    "ALTER DATABASE backstitch SET default_transaction_isolation = 'serializable'",
    "ALTER DATABASE backstitch SET client_encoding = 'LATIN1'",
];
const LOCKED: [&str; 5] = ["backstitch.step", "backstitch.run", "shop.orders", "backstitch.lane", "backstitch.step"];
const LOCKED_FOR: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_locked_serializable_and_readonly() {
    let mut dice = dice();
    let server = Embedded::temporary().await.expect("the server starts");
    let mut stage = Stage::over("settings", server, 2, &OPINIONS).await;
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    for _ in 0..rounds() {
        for table in LOCKED {
            lock(&stage, table).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        books::work_goes_on(&mut stage, "locked tables").await;
        stage.execute("ALTER DATABASE backstitch SET default_transaction_read_only = on").await;
        stage.end_sessions().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let reset =
            "SET default_transaction_read_only = off; ALTER DATABASE backstitch RESET default_transaction_read_only";
        stage.execute(reset).await;
        books::work_goes_on(&mut stage, "a read-only window").await;
    }
    crowd.go().await;
    stage.execute("ALTER DATABASE backstitch RESET ALL").await;
    books::close(stage).await;
}

/// Nobody else can read or write this table for a while.
async fn lock(stage: &Stage, table: &str) {
    let mut session = stage.pool.acquire().await.expect("a connection");
    let mut open = session.begin().await.expect("begins");
    let statement = format!(
        "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *open).await.expect("it is locked");
    tokio::time::sleep(LOCKED_FOR).await;
    open.rollback().await.expect("it is free again");
}
