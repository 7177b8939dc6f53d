//! The server that tests run against: the one in `DATABASE_URL`, else one per test process.
//!
//! `make test` sets `DATABASE_URL` to a server for the whole run (see examples/with_postgres.rs). Under plain `cargo test` or
//! `cargo nextest run` each process takes the first directory under target/tmp that no other process has, so that there are no more
//! clusters than processes at a time, and a later run finds them (and their templates) ready. The servers end with their process.

use std::path::Path;

use backstitch::embedded::{Embedded, Error, url_from_environment};
use tokio::sync::OnceCell;

use super::settings;

/// More processes than this at a time would be a mistake.
const MOST_SERVERS: usize = 64;

static SERVER: OnceCell<(String, Option<Embedded>)> = OnceCell::const_new();

/// The URL of a database from which others can be created.
pub(super) async fn url() -> &'static str {
    let (url, _) = SERVER.get_or_init(start).await;
    url
}

async fn start() -> (String, Option<Embedded>) {
    if let Some(url) = url_from_environment() {
        return (url, None);
    }
    for number in 0..MOST_SERVERS {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{number}"));
        match Embedded::start_with(&dir, settings::fast_but_not_crash_safe()).await {
            Ok(server) => return (server.url_of("postgres"), Some(server)),
            Err(Error::InUse { .. } | Error::OtherVersion { .. }) => {}
            Err(error) => panic!("tests need a Postgres server: {error}"),
        }
    }
    panic!("{MOST_SERVERS} test servers run already")
}
