//! tmp
use backstitch::bench;
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let a: Vec<String> = std::env::args().collect();
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(10).connect(&a[1]).await.unwrap();
    let r = bench::run(&pool, bench::Load { runs: a[2].parse().unwrap(), workers: 1, slots: a[3].parse().unwrap() }, |_| {}).await.unwrap();
    println!("{}", serde_json::to_string_pretty(&r).unwrap());
}
