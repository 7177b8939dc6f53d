//! What a caller is shown of a run that it has started a moment ago: the run as it was accepted, whatever workers have done with it
//! since. Nearly all of that is in the request: its row is read only where it may have to wait for somebody.

use std::sync::PoisonError;

use crate::engine::{
    api::{
        engine::Engine,
        start_request::{StartRun, Started},
    },
    core::{model::Time, redact::redact, trace::Trace},
    error::Error,
    read_models::{Run, RunStatus},
    store::{give_back, reads},
};

impl Engine {
    /// The run that a request has started: as it was accepted, if this request did it, and else as it stands. Whether a worker
    /// serves it is looked up about once a second.
    ///
    /// # Errors
    /// `unknown_run`; `database_unavailable`.
    pub async fn started_run(&self, started: Started, request: &StartRun) -> Result<Run, Error> {
        let Some(at) = started.accepted_at else { return self.run(started.run).await };
        if let Some(run) = self.known_from(started, request, at) {
            return Ok(run);
        }
        let mut conn = self.acquire().await?;
        let found = reads::load_run(self.schema(), &mut conn, started.run).await?;
        give_back(conn);
        let untouched = found.started_at.is_none() && found.status != RunStatus::Running;
        if !untouched || found.waiting_on.is_none() && request.start_at.is_none() {
            self.served().note(request);
        }
        let accepted =
            Run { steps: Some(Vec::new()), attention: Some(Vec::new()), children: Some(Vec::new()), ..found };
        Ok(if untouched { accepted } else { as_before(accepted) })
    }

    /// None where it is not all known here.
    fn known_from(&self, started: Started, request: &StartRun, at: Time) -> Option<Run> {
        if request.start_at.is_some() || !self.served().knows(request) {
            return None;
        }
        let version =
            self.newest_workflows().lock().unwrap_or_else(PoisonError::into_inner).get(&request.workflow)?.version;
        let secret = self.registry().secret_fields_of(&request.workflow);
        Some(Run {
            id: started.run,
            workflow: request.workflow.clone(),
            version,
            key: request.key.clone(),
            queue: request.queue().to_owned(),
            status: RunStatus::Pending,
            input: Some(redact(&request.input, &secret)),
            output: None,
            failure: None,
            waiting_on: None,
            tags: request.tags.clone(),
            created_at: at,
            started_at: None,
            finished_at: None,
            parent_id: request.parent_id,
            trace_id: Trace::of(started.run, request.traceparent.as_deref()).id_text(),
            steps: Some(Vec::new()),
            attention: Some(Vec::new()),
            children: Some(Vec::new()),
        })
    }
}

/// As it was before a worker took it.
fn as_before(run: Run) -> Run {
    Run {
        status: RunStatus::Pending,
        waiting_on: None,
        output: None,
        failure: None,
        started_at: None,
        finished_at: None,
        ..run
    }
}
