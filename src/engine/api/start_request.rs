//! What a start says, and what comes of it.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::engine::{
    core::model::{Json, RunId, Time, to_json},
    error::Error,
    names::DEFAULT_QUEUE,
    workflow::Workflow,
};

/// A request to start a run.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The workflow's name.
    pub workflow: String,
    /// Its input, as JSON.
    pub input: Json,
    /// The caller's idempotency key, unique per workflow.
    pub key: Option<String>,
    /// The queue; `default` unless said.
    pub queue: Option<String>,
    /// Not before this moment.
    pub start_at: Option<Time>,
    /// The caller's labels.
    pub tags: BTreeMap<String, String>,
    /// The run that it takes on from.
    pub parent_id: Option<RunId>,
    /// The id, where the caller has chosen it: a UUIDv7.
    pub id: Option<RunId>,
    /// The caller's W3C trace context, so that the run belongs to the caller's trace; a malformed one is left out.
    pub traceparent: Option<String>,
}

impl StartRun {
    /// The most tags that a run has.
    pub const MOST_TAGS: usize = 32;

    /// A start of a workflow by name.
    pub fn named(workflow: impl Into<String>, input: Json) -> Self {
        Self {
            workflow: workflow.into(),
            input,
            key: None,
            queue: None,
            start_at: None,
            tags: BTreeMap::new(),
            parent_id: None,
            id: None,
            traceparent: None,
        }
    }

    /// A start of a workflow by type.
    ///
    /// # Errors
    /// `invalid_input` when the input has no JSON form.
    pub fn new<W: Workflow>(input: &W::Input) -> Result<Self, Error> {
        let json = to_json(input)
            .map_err(|error| Error::InvalidInput { workflow: W::NAME.to_owned(), message: error.to_string() })?;
        Ok(Self::named(W::NAME, json))
    }

    /// With a key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The queue that it goes into.
    pub(super) fn queue(&self) -> &str {
        self.queue.as_deref().unwrap_or(DEFAULT_QUEUE)
    }

    /// What makes two requests with one key the same: workflow and input, whatever the order of the input's fields.
    pub(super) fn hash(&self) -> Vec<u8> {
        let canonical = serde_json::from_str::<serde_json::Value>(self.input.get())
            .map_or_else(|_| self.input.get().to_owned(), |value| value.to_string());
        let mut hasher = Sha256::new();
        hasher.update(self.workflow.as_bytes());
        hasher.update([0]);
        hasher.update(canonical.as_bytes());
        hasher.finalize().to_vec()
    }
}

/// A run that was started, now or by an earlier request with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// False: the key was known, and this is the first request's run.
    pub created: bool,
    /// When this request was accepted, by the database's clock; none where the key was known.
    #[serde(skip)]
    pub accepted_at: Option<Time>,
}

/// Who asks for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The service itself, or a schedule that exists.
    Service,
    /// Somebody outside: of the API, or an operator.
    Caller,
}
