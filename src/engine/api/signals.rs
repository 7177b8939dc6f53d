//! Signals: what callers send to a run.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::engine::{
    api::{
        audit::{Operator, Subject},
        engine::Engine,
    },
    check::check_json,
    core::model::{Json, RunId},
    error::Error,
    names::check_name,
    store::{
        audit, give_back,
        signals::{self, NewSignal},
    },
};

/// Runs in one statement, at most.
const RUNS_AT_ONCE: usize = 500;
/// Bytes of payloads in one statement, unless one alone has more.
const BYTES_AT_ONCE: usize = 16 << 20;

/// A signal to be sent with others: see [`Engine::signal_batch`].
#[derive(Clone, Debug)]
pub struct SendSignal {
    /// The run that it is for.
    pub run: RunId,
    /// Its name.
    pub name: String,
    /// What it says.
    pub payload: Option<Json>,
    /// Deduplicates within the run.
    pub key: Option<String>,
}

impl SendSignal {
    fn row(&self) -> NewSignal<'_> {
        NewSignal { run: self.run, name: &self.name, payload: self.payload.as_ref(), key: self.key.as_deref() }
    }
}

/// The places of those that were not refused, in turns of a statement each, one signal for a run in each. What is for one run keeps
/// its order.
fn turns(signals: &[SendSignal], answers: &[Result<(), Error>]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..signals.len()).filter(|at| answers[*at].is_ok()).collect();
    let mut turns = Vec::new();
    while !left.is_empty() {
        let (mut runs, mut turn, mut later, mut bytes) = (HashSet::new(), Vec::new(), Vec::new(), 0_usize);
        for at in left {
            let size = signals[at].payload.as_ref().map_or(0, |json| json.get().len());
            let is_full = turn.len() == RUNS_AT_ONCE || !turn.is_empty() && bytes.saturating_add(size) > BYTES_AT_ONCE;
            // The first one for a run that has to wait makes all for that run wait.
            if runs.insert(signals[at].run) && !is_full {
                bytes = bytes.saturating_add(size);
                turn.push(at);
            } else {
                later.push(at);
            }
        }
        turns.push(turn);
        left = later;
    }
    turns
}

impl Engine {
    /// Sends a signal; it is durable when this returns. `key` deduplicates within the run.
    ///
    /// # Errors
    /// `unknown_run`, `run_ended`, `payload_too_large`.
    pub async fn signal(&self, run: RunId, name: &str, payload: Option<Json>, key: Option<&str>) -> Result<(), Error> {
        let mut conn = self.acquire().await?;
        self.signal_in(&mut conn, run, name, payload, key).await.map_err(Error::of_write)?;
        give_back(conn);
        self.hint();
        Ok(())
    }

    /// Sends many, those for one run in their order; a refused one does not hold up the others. They are durable when this
    /// returns. One statement and one commit for up to 500 runs.
    ///
    /// # Errors
    /// When the database fails: some may have been sent, and with their keys they can be sent again. Refusals are in the list, as
    /// of [`Engine::signal`].
    pub async fn signal_batch(&self, signals: &[SendSignal]) -> Result<Vec<Result<(), Error>>, Error> {
        let mut conn = self.acquire().await?;
        let answers = self.signal_batch_in(&mut conn, signals).await.map_err(Error::of_write)?;
        give_back(conn);
        self.hint();
        Ok(answers)
    }

    /// The same inside the caller's transaction. Call [`Engine::hint`] after the commit.
    ///
    /// # Errors
    /// As [`Engine::signal_batch`]'s.
    pub async fn signal_batch_in(
        &self,
        conn: &mut PgConnection,
        signals: &[SendSignal],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let mut answers: Vec<Result<(), Error>> =
            signals.iter().map(|signal| self.check_signal(&signal.row())).collect();
        for turn in turns(signals, &answers) {
            let rows: Vec<NewSignal<'_>> = turn.iter().map(|at| signals[*at].row()).collect();
            let sent = signals::send(self.schema(), &mut *conn, &rows).await?;
            turn.into_iter().zip(sent).for_each(|(at, answer)| answers[at] = answer);
        }
        Ok(answers)
    }

    /// The same inside the caller's transaction.
    ///
    /// # Errors
    /// As [`Engine::signal`].
    pub async fn signal_in(
        &self,
        conn: &mut PgConnection,
        run: RunId,
        name: &str,
        payload: Option<Json>,
        key: Option<&str>,
    ) -> Result<(), Error> {
        let signal = NewSignal { run, name, payload: payload.as_ref(), key };
        self.check_signal(&signal)?;
        signals::send(self.schema(), conn, &[signal]).await?.into_iter().collect()
    }

    fn check_signal(&self, signal: &NewSignal<'_>) -> Result<(), Error> {
        let size = signal.payload.map_or(0, |json| json.get().len());
        if size > self.max_payload() {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload() });
        }
        check_name("signal name", Some(signal.name), 128)?;
        signal.payload.map_or(Ok(()), |json| check_json("payload", json.get()))?;
        check_name("key", signal.key, 512)
    }

    /// Sends a signal on a caller's or operator's behalf: as [`Engine::signal`], with an audit record in the same commit.
    ///
    /// # Errors
    /// As [`Engine::signal`]; `internal_workflow`, unless the workflow names the signal as public.
    pub async fn operator_signal(
        &self,
        run: RunId,
        name: &str,
        payload: Option<Json>,
        key: Option<&str>,
        by: &Operator,
    ) -> Result<(), Error> {
        let sent = async {
            let mut tx = self.begin().await?;
            if let Some(workflow) = signals::closed_workflow(self.schema(), &mut tx, run, name).await? {
                return Err(Error::InternalWorkflow(workflow));
            }
            self.signal_in(&mut tx, run, name, payload, key).await?;
            let after = serde_json::json!({"signal": name, "key": key});
            let entry =
                audit::Entry { action: "signal", run: Some(run), subject: None, before: None, after: Some(after) };
            audit::record_done(self.schema(), &mut tx, &entry, by.by()).await?;
            by.finish(tx).await
        };
        self.audited("signal", Subject::Run(run), by, sent.await).await?;
        self.hint();
        Ok(())
    }
}
