//! Signals: what callers send to a run.

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
    store::{audit, signals},
};

impl Engine {
    /// Sends a signal; it is durable when this returns. `key` deduplicates within the run.
    ///
    /// # Errors
    /// `unknown_run`, `run_ended`, `payload_too_large`.
    pub async fn signal(&self, run: RunId, name: &str, payload: Option<Json>, key: Option<&str>) -> Result<(), Error> {
        let mut conn = self.acquire().await?;
        self.signal_in(&mut conn, run, name, payload, key).await.map_err(Error::of_write)?;
        self.hint();
        Ok(())
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
        let size = payload.as_ref().map_or(0, |json| json.get().len());
        if size > self.max_payload() {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload() });
        }
        check_name("signal name", Some(name), 128)?;
        payload.as_ref().map_or(Ok(()), |json| check_json("payload", json.get()))?;
        check_name("key", key, 512)?;
        signals::send(self.schema(), conn, run, name, payload.as_ref(), key).await
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
