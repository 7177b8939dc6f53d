//! `bench --floor`: what this Postgres and this disk do without any engine: commits of one row on one connection, rows in
//! statements of 500, and writes of a page that reach the disk.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

/// Rows in one statement.
const ROWS_AT_ONCE: i64 = 500;
/// Bytes of a page.
const PAGE: usize = 8_192;
/// About what a step leaves.
const BODY: &str =
    r#"{"step":"reserve","order_id":"ord-000000001","status":"ok","ref":"reserve-0123456789abcdef","n":1}"#;

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bench_floor (id bigserial PRIMARY KEY, run bigint NOT NULL, body json NOT NULL)";
const ONE: &str = "INSERT INTO bench_floor (run, body) VALUES (1, $1::json)";
const MANY: &str = "INSERT INTO bench_floor (run, body) SELECT n, $1::json FROM generate_series(1, $2) n";

/// What nobody on this machine can do better.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// Commits of one row each, one after the other on one connection.
    pub commits_per_s: f64,
    /// Rows in statements of 500, on one connection.
    pub rows_per_s: f64,
    /// Writes of 8 kB to the disk of temporary files, one after the other.
    pub fsync_per_s: f64,
}

/// Measures each for `span`.
///
/// # Errors
/// When the database fails, or no file can be written.
pub async fn measure(pool: &PgPool, span: Duration) -> anyhow::Result<Floor> {
    let mut conn = connect(pool).await?;
    let commits = repeat(span, async || sqlx::query(ONE).bind(BODY).execute(&mut conn).await).await?;
    let many = async || sqlx::query(MANY).bind(BODY).bind(ROWS_AT_ONCE).execute(&mut conn).await;
    let rows = repeat(span, many).await? * ROWS_AT_ONCE as f64;
    sqlx::query("DROP TABLE bench_floor").execute(&mut conn).await?;
    conn.close().await?;
    let fsync = tokio::task::spawn_blocking(move || sync_pages(&std::env::temp_dir(), span)).await??;
    Ok(Floor { commits_per_s: commits, rows_per_s: rows, fsync_per_s: fsync })
}

/// Milliseconds that `commits` commits of one row take, one after the other, `times` times.
pub(super) async fn time_commits(pool: &PgPool, commits: usize, times: usize) -> anyhow::Result<Vec<f64>> {
    let mut conn = connect(pool).await?;
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        for _ in 0..commits {
            sqlx::query(ONE).bind(BODY).execute(&mut conn).await?;
        }
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }
    sqlx::query("DROP TABLE bench_floor").execute(&mut conn).await?;
    conn.close().await?;
    Ok(taken)
}

/// A bare connection: what the engine's pool does beside a statement is not the floor's.
async fn connect(pool: &PgPool) -> anyhow::Result<PgConnection> {
    let options: PgConnectOptions = (*pool.connect_options()).clone();
    let mut conn = PgConnection::connect_with(&options).await?;
    sqlx::query(TABLE).execute(&mut conn).await?;
    Ok(conn)
}

/// How often a second it can be done.
async fn repeat<T, E>(span: Duration, mut once: impl AsyncFnMut() -> Result<T, E>) -> Result<f64, E> {
    let (began, mut times) = (Instant::now(), 0_u32);
    while began.elapsed() < span {
        once().await?;
        times += 1;
    }
    Ok(f64::from(times) / began.elapsed().as_secs_f64())
}

/// How often a second a page can be written to the disk.
fn sync_pages(dir: &Path, span: Duration) -> std::io::Result<f64> {
    let path = dir.join(format!("backstitch-floor-{}", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).write(true).open(&path)?;
    let page = [7; PAGE];
    let (began, mut times) = (Instant::now(), 0_u32);
    let mut written = Ok(());
    while written.is_ok() && began.elapsed() < span {
        written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&page)).and_then(|()| file.sync_data());
        times += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_file(&path)?;
    written.map(|()| f64::from(times) / seconds)
}
