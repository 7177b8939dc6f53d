//! A lane's connection to the database: its heartbeat, what happens when it is lost, and giving runs back.
//!
//! A lost connection leaves the fate of its last statement open. A flush is sent again (see `commit::batch`). A claim may
//! have taken runs that this process knows nothing of: after a reconnect the lane gives back every run that the table says
//! it has and its memory doesn't.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::Instant;

use super::{
    acknowledged::Acknowledged,
    limits::{CONNECT_WITHIN, within},
    shared::Shared,
};
use crate::engine::{
    core::model::RunId,
    error::Error,
    store::{
        self,
        lanes::{self, Lease, Release},
    },
};

/// An open lane and its connection.
pub(crate) struct LaneConnection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conn: PgConnection,
    pub(crate) lease: Lease,
    /// What the database has acknowledged last.
    pub(crate) acknowledged: Arc<Acknowledged>,
    /// When the database last heard from the lane.
    pub(crate) last_beat: Instant,
    /// Flushes that went well.
    pub(crate) flushes: u64,
}

impl LaneConnection {
    /// Opens a new lane, however long it takes.
    pub(super) async fn open(shared: &Arc<Shared>) -> Self {
        let mut conn = connect(shared).await;
        let row = shared.as_row();
        let lease = loop {
            let worker = shared.worker_id.load(Ordering::Relaxed);
            let opening = lanes::open(shared.schema(), &mut conn, worker, &row);
            match within(shared.config.answer_within(), opening).await {
                Ok((worker, lease)) => {
                    shared.worker_id.store(worker, Ordering::Relaxed);
                    break lease;
                }
                Err(error) => {
                    tracing::warn!(%error, "no lane could be opened; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    conn = connect(shared).await;
                }
            }
        };
        shared.engine.pulse().answered();
        let acknowledged = Arc::default();
        Self { shared: shared.clone(), conn, lease, acknowledged, last_beat: Instant::now(), flushes: 0 }
    }

    pub(super) async fn beat(&mut self) -> Result<(), Error> {
        loop {
            let beating = lanes::beat(self.shared.schema(), &mut self.conn, self.lease);
            match within(self.shared.config.answer_within(), beating).await {
                Ok(at) => break self.acknowledged.note(at),
                Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => {
                    self.reconnect(&error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.answered();
        Ok(())
    }

    /// The database has answered a statement that beats.
    pub(crate) fn answered(&mut self) {
        self.last_beat = Instant::now();
        self.shared.engine.pulse().answered();
    }

    /// Connects again, checks that the lane is still alive, and gives back the runs that it doesn't know of.
    ///
    /// # Errors
    /// `LeaseLost`: the lane was declared dead, or the worker stops.
    pub(crate) async fn reconnect(&mut self, why: &sqlx::Error) -> Result<(), Error> {
        tracing::warn!(error = %why, lane = self.lease.lane, "the lane's connection was lost; connecting again");
        loop {
            self.conn = tokio::select! {
                conn = connect(&self.shared) => conn,
                () = self.shared.stopped.cancelled() => return Err(Error::LeaseLost),
            };
            let limit = self.shared.config.answer_within();
            let checked = async {
                let last = self.acknowledged.last();
                let beating = lanes::beat_again(self.shared.schema(), &mut self.conn, self.lease, last);
                self.acknowledged.note(beating.await?);
                self.give_back_unknown().await
            };
            match within(limit, checked).await {
                Ok(given_back) => {
                    if given_back > 0 {
                        tracing::warn!(given_back, "a claim had landed whose answer was lost");
                        self.shared.claim_soon();
                    }
                    self.answered();
                    return Ok(());
                }
                Err(error) if error.of_database().is_none() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, lane = self.lease.lane, "the lane's beat fails; trying again");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Gives back what a claim may have taken without our hearing of it.
    pub(super) async fn give_back_unknown(&mut self) -> Result<u64, Error> {
        let known = self.shared.active.of_lane(self.lease.lane);
        lanes::give_back_unknown(self.shared.schema(), &mut self.conn, self.lease, &known).await
    }

    /// Gives a run back: it is due for whichever worker claims it next.
    pub(crate) async fn give_back(&mut self, run: RunId, why: Release) -> Result<(), Error> {
        loop {
            let releasing = lanes::release_run(self.shared.schema(), &mut self.conn, self.lease, run, why);
            match within(self.shared.config.answer_within(), releasing).await {
                Ok(()) => break,
                Err(Error::Unavailable(error) | Error::OutcomeUnknown(error) | Error::Database(error)) => {
                    self.reconnect(&error).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.shared.engine.hint();
        Ok(())
    }
}

/// A new connection, however long it takes.
async fn connect(shared: &Shared) -> PgConnection {
    let limits = shared.config.session_limits();
    let options = store::hot_options(&shared.engine.pool().connect_options(), limits);
    // Where nobody wants to see each statement, nothing is spent on asking again at each.
    let seen = tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG);
    let options = if seen { options } else { options.disable_statement_logging() };
    let forever = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times();
    loop {
        let connecting = (|| connect_once(shared, &options)).retry(forever);
        match connecting.notify(|error, _| tracing::warn!(%error, "no connection for a lane; trying again")).await {
            Ok(conn) => return conn,
            Err(error) => tracing::warn!(%error, "no connection for a lane; trying again"),
        }
    }
}

async fn connect_once(shared: &Shared, options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let connected = within(CONNECT_WITHIN, async { Ok(PgConnection::connect_with(options).await) }).await?;
    connected.map_err(|error| {
        // It answers, and says no. Silence tells nothing of it.
        shared.engine.pulse().refused();
        error.into()
    })
}
