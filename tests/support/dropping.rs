//! Futures that their callers give up at each of their awaits.

use std::{future::poll_fn, task::Poll};

use sqlx::PgPool;

use super::wait_for;

/// Makes the future again and again, and drops it after one poll, after two, .., until it gets to its end.
pub async fn drop_at_each_await<F: Future>(name: &str, make: impl Fn() -> F) {
    for polls in 1..=500 {
        let mut future = Box::pin(make());
        let mut left = polls;
        let ended = poll_fn(|cx| {
            if future.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            left -= 1;
            if left == 0 { Poll::Ready(false) } else { Poll::Pending }
        });
        if ended.await {
            return;
        }
    }
    panic!("{name} does not come to its end");
}

/// Waits until no session of the pool's database is inside of a transaction. `pool` is somebody else's, not the tested one.
#[track_caller]
pub fn no_transaction_is_open(pool: &PgPool, after: &str) -> impl Future<Output = ()> {
    let what = format!("no transaction is open after {after}");
    let pool = pool.clone();
    async move {
        wait_for(&what, async || {
            let open = "SELECT coalesce(string_agg(query, '; '), '') FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
            let open: String = sqlx::query_scalar(open).fetch_one(&pool).await.map_err(|error| error.to_string())?;
            if open.is_empty() { Ok(()) } else { Err(open) }
        })
        .await;
    }
}
