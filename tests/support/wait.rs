//! Waiting for a fact, instead of for a time that was long enough once.
//!
//! Each of these fails loudly after a deadline, with what it waited for and where it was called.

use std::panic::Location;
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

/// Long enough for a busy machine with two cores; a test that meets it has failed.
const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
/// With a long deadline a fact is asked for about so often.
const PROBES: u32 = 2_000;

/// Waits until `fact` gives true: `wait_until("the run has ended", async || ended(&pool, id).await).await`.
#[track_caller]
pub fn wait_until(what: &str, fact: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    wait_until_within(DEADLINE, what, fact)
}

/// The same with a deadline of one's own, for what takes longer than a test should.
#[track_caller]
pub fn wait_until_within(
    deadline: Duration,
    what: &str,
    mut fact: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let probe = async move || if fact().await { Ok(()) } else { Err("it is still not so".to_owned()) };
    wait_for_within(deadline, what, probe)
}

/// Waits until `probe` gives a value, and returns it. What it says instead, in its `Err`, stands in the message if it never does.
#[track_caller]
pub fn wait_for<T>(what: &str, probe: impl AsyncFnMut() -> Result<T, String>) -> impl Future<Output = T> {
    wait_for_within(DEADLINE, what, probe)
}

/// The same with a deadline of one's own.
#[track_caller]
pub fn wait_for_within<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> impl Future<Output = T> {
    let (caller, began) = (Location::caller(), Instant::now());
    let pause = (deadline / PROBES).max(POLL);
    async move {
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(seen) if began.elapsed() > deadline => {
                    panic!("{caller}: waited {} s in vain until {what}; last seen: {seen}", deadline.as_secs())
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
        }
    }
}

/// A session of Postgres, as a test knows it.
#[derive(Debug, Clone, Copy)]
pub enum Session<'a> {
    /// By its backend's process id: see [`backend_pid`].
    Pid(i32),
    /// By its `application_name`, of which there must be only one.
    Application(&'a str),
}

/// Waits until a session is blocked by another's lock: from then on the interleaving that a test wants to force is certain.
#[track_caller]
pub fn wait_for_lock(pool: &PgPool, session: Session<'_>) -> impl Future<Output = ()> {
    let (pid, name) = match session {
        Session::Pid(pid) => (Some(pid), None),
        Session::Application(name) => (None, Some(name)),
    };
    wait_for("a session is blocked by a lock", async move || {
        let query = "SELECT cardinality(pg_blocking_pids(pid)) > 0, concat_ws(' ', pid, state, wait_event_type, wait_event, query)
                     FROM pg_stat_activity
                     WHERE (pid = $1 OR application_name = $2) AND datname = current_database() AND pid <> pg_backend_pid()";
        let rows: Vec<(bool, String)> =
            sqlx::query_as(query).bind(pid).bind(name).fetch_all(pool).await.map_err(|error| error.to_string())?;
        match rows.as_slice() {
            [(true, _)] => Ok(()),
            [(false, seen)] => Err(format!("not blocked: {seen}")),
            others => Err(format!("{} sessions for {session:?}: {others:?}", others.len())),
        }
    })
}

/// The process id of a connection's backend.
pub async fn backend_pid(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.expect("the connection works")
}
