//! Whether the database takes commits just now. One that can be read may still not: it is read-only, or a synchronous standby that
//! its commits wait for is silent.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::PgPool;

use super::{
    error::Error,
    store::{self, Lent},
};

/// An answer is good for this long: readiness is asked for by anybody, as often as they like.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// A commit that takes longer than this hangs.
const HANGS_AFTER: Duration = Duration::from_secs(2);
/// One that hangs is given up after so long; each leaves a session on the server that waits on.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// The latest probe of a process.
#[derive(Debug, Default)]
pub(crate) struct WriteProbe(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running_since: Option<Instant>,
    answered: Option<(Instant, Result<(), &'static str>)>,
}

impl WriteProbe {
    /// Makes a commit that writes nothing, or waits for the one under way. There is one at a time, however many ask.
    ///
    /// # Errors
    /// A code; `writes_hang` where it does not come to an end.
    pub(crate) async fn ask(&self, pool: &PgPool) -> Result<(), &'static str> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = {
            let mut state = lock();
            let is_good = state.answered.is_some_and(|(at, _)| at.elapsed() < GOOD_FOR);
            let begins = state.running_since.is_none() && !is_good;
            if begins {
                state.running_since = Some(Instant::now());
            }
            begins
        };
        if begins {
            tokio::spawn(probe(self.0.clone(), pool.clone()));
        }
        let asked_at = Instant::now();
        loop {
            let State { running_since, answered } = *lock();
            match (running_since, answered) {
                (None, Some((_, answer))) => return answer,
                (Some(since), _) if since.elapsed() > HANGS_AFTER => return Err("writes_hang"),
                _ if asked_at.elapsed() > HANGS_AFTER => return Err("writes_hang"),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// In a task of its own, so that it is known how long it hangs, also when nobody waits for it.
async fn probe(state: Arc<Mutex<State>>, pool: PgPool) {
    let written = tokio::time::timeout(GIVEN_UP_AFTER, write(&pool)).await;
    let answer = written.map_or(Err("writes_hang"), |written| written.map_err(|error| error.code()));
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    *state = State { running_since: None, answered: Some((Instant::now(), answer)) };
}

async fn write(pool: &PgPool) -> Result<(), Error> {
    let mut conn = Lent::of(pool).await?;
    store::server::commit_nothing(&mut conn).await?;
    conn.give_back();
    Ok(())
}
