//! Rate limits that all servers of a database share: [`Engine::limiter`].

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Mutex as AsyncMutex;

use crate::engine::{
    api::engine::Engine,
    core::bucket::{Account, Drawn, Rate, Taken},
    error::Error,
    store::limits,
};

/// Subjects that a server remembers at most.
const REMEMBERED_AT_MOST: usize = 10_000;

/// A draw that takes longer holds nobody up.
const DRAWN_WITHIN: Duration = Duration::from_secs(1);

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What the limit is.
    pub rate: Rate,
    /// How many more may follow at once, as far as this server knows.
    pub left: u32,
    /// It may not go on: for so long.
    pub refused_for: Option<Duration>,
}

/// A limit on how often each subject may do something, shared by all servers of a database.
///
/// A request normally costs no statement: a server lets a quarter of a subject's rate through on credit, and beyond it draws
/// tokens in blocks. So a subject gets its rate, and from each server a quarter of it on top at most. While the database is
/// away, nobody is refused.
#[derive(Clone)]
pub struct Limiter {
    engine: Engine,
    kind: &'static str,
    rate: Rate,
    since: Instant,
    accounts: Arc<Mutex<HashMap<String, Arc<AsyncMutex<Account>>>>>,
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("kind", &self.kind).field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Engine {
    /// A limit for subjects of one kind, such as `key` or `tenant`: limiters of one kind share their buckets.
    pub fn limiter(&self, kind: &'static str, rate: Rate) -> Limiter {
        Limiter { engine: self.clone(), kind, rate, since: Instant::now(), accounts: Arc::default() }
    }

    /// Forgets the buckets that are full.
    pub(crate) async fn forget_full_buckets(&self) -> Result<u64, Error> {
        limits::forget_full(self.schema(), &mut *self.acquire().await?).await
    }
}

impl Limiter {
    /// Counts one request of a subject, and says whether it may go on.
    pub async fn take(&self, subject: &str) -> Allowance {
        let account = self.account(subject);
        // While one draws, others of this subject wait: they may live on what it brings.
        let mut account = account.lock().await;
        let taken = match account.take(self.rate, self.since.elapsed()) {
            Taken::Draw { want } => match self.draw(subject, want).await {
                Some(drawn) => account.take_drawn(self.rate, drawn, self.since.elapsed()),
                None => account.take_undrawn(self.since.elapsed()),
            },
            taken => taken,
        };
        match taken {
            Taken::Yes { left } => Allowance { rate: self.rate, left, refused_for: None },
            Taken::No { after } => Allowance { rate: self.rate, left: 0, refused_for: Some(after) },
            Taken::Draw { .. } => Allowance { rate: self.rate, left: 0, refused_for: None },
        }
    }

    fn account(&self, subject: &str) -> Arc<AsyncMutex<Account>> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get(subject) {
            return known.clone();
        }
        if accounts.len() >= REMEMBERED_AT_MOST {
            let now = self.since.elapsed();
            accounts.retain(|_, account| account.try_lock().is_ok_and(|account| !account.is_settled(self.rate, now)));
            if accounts.len() >= REMEMBERED_AT_MOST {
                accounts.clear(); // what each of them owes is a quarter of a bucket
            }
        }
        accounts.entry(subject.to_owned()).or_default().clone()
    }

    /// None where the database gave no answer in time. In a task of its own: a caller that hangs up breaks no statement off.
    async fn draw(&self, subject: &str, want: u32) -> Option<Drawn> {
        let (engine, rate, name) = (self.engine.clone(), self.rate, format!("{}:{subject}", self.kind));
        let drawing = tokio::spawn(async move {
            let mut conn = engine.acquire().await?;
            limits::draw(engine.schema(), &mut conn, &name, rate, want).await
        });
        match tokio::time::timeout(DRAWN_WITHIN, drawing).await {
            Ok(Ok(Ok(drawn))) => Some(drawn),
            Ok(Ok(Err(error))) => {
                tracing::debug!(%error, kind = self.kind, "no limit was kept: the database did not answer");
                None
            }
            _ => None,
        }
    }
}
