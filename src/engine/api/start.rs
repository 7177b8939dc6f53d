//! Starting runs: one, many in one commit, or inside the caller's transaction.

use std::{
    collections::{BTreeMap, HashSet},
    sync::PoisonError,
};

use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{
    api::{
        engine::{Engine, KnownWorkflow},
        start_request::{By, StartRun, Started},
    },
    check::{check_json, check_label, check_time},
    core::{
        ids::RunMap,
        mismatch::check_text,
        model::{Json, RunId, Time},
        trace::Trace,
        visibility::Visibility,
    },
    error::Error,
    names::{DEFAULT_QUEUE, INTERNAL_KEY, SCHEDULE_KEY, check_callers_key, check_name, check_queue},
    registry::deadline_ms as deadline_ms_of,
    store::{
        give_back, lanes,
        start::{self, Newest},
    },
    trouble::Trouble,
};

/// The longest name of a workflow, and of a tag or its value.
const LONGEST_LABEL: usize = 255;

impl Engine {
    /// Starts a run; it is durable when this returns.
    ///
    /// # Errors
    /// `unknown_workflow`, `invalid_input`, `payload_too_large`, `key_conflict`, `database_unavailable`.
    pub async fn start(&self, request: StartRun) -> Result<Started, Error> {
        self.start_together(request, By::Service).await
    }

    /// Starts a run for a caller from outside of the service: of an internal workflow, that is refused.
    ///
    /// # Errors
    /// As [`Engine::start`]; `internal_workflow`; `invalid_request` for a key of the kind that callers can't have.
    pub async fn accept(&self, request: StartRun) -> Result<Started, Error> {
        self.start_together(request, By::Caller).await
    }

    /// One start, in a statement that commits by itself.
    pub(super) async fn start_one(&self, request: StartRun, by: By) -> Result<Started, Error> {
        let mut conn = self.acquire().await?;
        let started = self.start_as(&mut conn, request, by).await.map_err(Error::of_write)?;
        give_back(conn);
        self.hint();
        Ok(started)
    }

    /// The same for many, as [`Engine::start_batch`].
    ///
    /// # Errors
    /// When the database fails; refusals are in the list.
    pub async fn accept_batch(&self, requests: Vec<StartRun>) -> Result<Vec<Result<Started, Error>>, Error> {
        self.start_each(requests, By::Caller).await
    }

    /// Starts many, in one commit; a refused one does not hold up the others. Where the database refuses the commit for what
    /// one of them says, each is started by itself.
    ///
    /// # Errors
    /// When the database fails; refusals are in the list.
    pub async fn start_batch(&self, requests: Vec<StartRun>) -> Result<Vec<Result<Started, Error>>, Error> {
        self.start_each(requests, By::Service).await
    }

    async fn start_each(&self, requests: Vec<StartRun>, by: By) -> Result<Vec<Result<Started, Error>>, Error> {
        let with = |requests: Vec<StartRun>| requests.into_iter().map(|request| (request, by)).collect();
        let mut conn = self.acquire().await?;
        let started = match self.start_many(&mut conn, with(requests.clone())).await.map_err(Error::of_write) {
            Err(error) if is_of_a_row(&error) => {
                let mut alone = Vec::with_capacity(requests.len());
                for request in requests {
                    match self.start_as(&mut conn, request, by).await.map_err(Error::of_write) {
                        Err(error) if error.of_database().is_some() && !is_of_a_row(&error) => return Err(error),
                        other => alone.push(other),
                    }
                }
                alone
            }
            other => other?,
        };
        give_back(conn);
        self.hint();
        Ok(started)
    }

    /// Starts a run inside the caller's transaction: it exists when that commits. Call [`Engine::hint`] after the commit,
    /// or leave it to the workers' polling.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_in(&self, conn: &mut PgConnection, request: StartRun) -> Result<Started, Error> {
        self.start_as(conn, request, By::Service).await
    }

    /// The same for many; a refused one does not hold up the others.
    ///
    /// # Errors
    /// When the database fails; refusals are in the list.
    pub async fn start_batch_in(
        &self,
        conn: &mut PgConnection,
        requests: Vec<StartRun>,
    ) -> Result<Vec<Result<Started, Error>>, Error> {
        self.start_many(conn, requests.into_iter().map(|request| (request, By::Service)).collect()).await
    }

    pub(super) async fn start_as(&self, conn: &mut PgConnection, request: StartRun, by: By) -> Result<Started, Error> {
        let started = self.start_many(conn, vec![(request, by)]).await?;
        let nothing = || Err(Error::InvalidRequest("nothing was to be started".to_owned()));
        started.into_iter().next().unwrap_or_else(nothing)
    }

    pub(super) async fn start_many(
        &self,
        conn: &mut PgConnection,
        requests: Vec<(StartRun, By)>,
    ) -> Result<Vec<Result<Started, Error>>, Error> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut runs = Vec::with_capacity(requests.len());
        let mut ids = HashSet::with_capacity(requests.len());
        for (request, by) in requests {
            match self.prepare_run(conn, request, by).await {
                Ok(run) if !ids.insert(run.id) => answers.push(Err(taken_id(run.id))),
                Ok(run) => {
                    answers.push(Ok(run.id));
                    runs.push(run);
                }
                Err(error) if error.of_database().is_some() => return Err(error),
                Err(refused) => answers.push(Err(refused)),
            }
        }
        let created = match start::start(self.schema(), conn, &runs).await {
            Err(error) if start::is_taken_id(&error) && runs.len() == 1 => return Err(taken_id(runs[0].id)),
            created => created?,
        };
        let created: RunMap<Time> = created.into_iter().collect();
        self.meters().started.increment(created.len() as u64);
        let mut runs = runs.into_iter();
        let mut started = Vec::with_capacity(answers.len());
        for answer in answers {
            started.push(match answer {
                Err(refused) => Err(refused),
                Ok(id) => match runs.next() {
                    Some(run) if !created.contains_key(&id) => self.find_existing(conn, &run).await,
                    _ => Ok(Started { run: id, created: true, accepted_at: created.get(&id).copied() }),
                },
            });
        }
        Ok(started)
    }

    /// Checks what a schedule is to start later, as a start would. The workflow need not be in the database yet if this process
    /// has it.
    pub(super) async fn check_start(
        &self,
        conn: &mut PgConnection,
        workflow: &str,
        input: &Json,
        queue: Option<&str>,
        by: By,
    ) -> Result<(), Error> {
        let size = input.get().len();
        if size > self.max_payload() {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload() });
        }
        check_label("workflow", workflow, LONGEST_LABEL)?;
        check_json("input", input.get())?;
        check_name("queue", queue, 128)?;
        check_queue(queue)?;
        let known = self.find_workflow(conn, workflow, by).await?;
        self.check_input(workflow, &known, input)
    }

    /// Checks a request, size first, and turns it into rows.
    async fn prepare_run(&self, conn: &mut PgConnection, request: StartRun, by: By) -> Result<start::NewRun, Error> {
        let size = request.input.get().len();
        if size > self.max_payload() {
            return Err(Error::PayloadTooLarge { size, limit: self.max_payload() });
        }
        check_label("workflow", &request.workflow, LONGEST_LABEL)?;
        check_json("input", request.input.get())?;
        check_name("key", request.key.as_deref(), 512)?;
        if by == By::Caller {
            check_callers_key(request.key.as_deref())?;
        }
        check_name("queue", request.queue.as_deref(), 128)?;
        check_queue(request.queue.as_deref())?;
        request.start_at.map_or(Ok(()), |at| check_time("start_at", at))?;
        check_tags(&request.tags)?;
        let workflow = self.find_workflow(conn, &request.workflow, by).await?;
        self.check_input(&request.workflow, &workflow, &request.input)?;
        let hash = request.key.is_some().then(|| request.hash());
        let tags = (!request.tags.is_empty()).then(|| serde_json::to_string(&request.tags)).transpose();
        Ok(start::NewRun {
            id: request.id.unwrap_or_else(Uuid::now_v7),
            workflow_id: workflow.id,
            queue: request.queue.unwrap_or_else(|| DEFAULT_QUEUE.to_owned()),
            input: request.input.get().to_owned(),
            hash,
            start_at: request.start_at,
            tags: tags.map_err(|error| Error::InvalidRequest(error.to_string()))?,
            parent_id: request.parent_id,
            deadline_ms: workflow.deadline_ms,
            workflow: request.workflow,
            key: request.key.map(|key| if workflow.internal { internal_key(key) } else { key }),
            traceparent: request.traceparent.filter(|text| Trace::parse(text).is_some()),
        })
    }

    /// The newest version of a workflow, where the one who asks may use it.
    async fn find_workflow(&self, conn: &mut PgConnection, name: &str, by: By) -> Result<KnownWorkflow, Error> {
        let known = self.newest_workflows().lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let found = match known {
            Some(known) => known,
            None => self.look_up_workflow(conn, name).await?,
        };
        if by == By::Caller && found.internal {
            return Err(Error::InternalWorkflow(name.to_owned()));
        }
        Ok(found)
    }

    async fn look_up_workflow(&self, conn: &mut PgConnection, name: &str) -> Result<KnownWorkflow, Error> {
        let code = self.registry().newest(name);
        let newest = match start::newest_workflow(self.schema(), conn, name).await? {
            Some(newest) => newest,
            None => self.register_workflow(name).await?,
        };
        let Newest { id, version, internal, input, deadline_ms } = newest;
        let Some(code) = code.filter(|code| code.version() == version) else {
            // Whichever says so: a version that a worker has yet to register again is on record as it was before.
            let internal = internal || code.is_some_and(|code| code.visibility() == Visibility::Internal);
            return Ok(KnownWorkflow { id, version, internal, deadline_ms, input });
        };
        let internal = internal || code.visibility() == Visibility::Internal;
        let known = KnownWorkflow { id, version, internal, deadline_ms: deadline_ms_of(&**code), input: None };
        self.newest_workflows().lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), known.clone());
        Ok(known)
    }

    /// Whether the workflow can read it: by its code, or by what is on record of a version that this process has not got.
    fn check_input(&self, name: &str, workflow: &KnownWorkflow, input: &Json) -> Result<(), Error> {
        let checked = match &workflow.input {
            Some(schema) => check_text(schema, input.get()),
            None => self.registry().newest(name).map_or(Ok(()), |code| code.check(input.get())),
        };
        checked.map_err(|message| Error::InvalidInput { workflow: name.to_owned(), message })
    }

    /// Registers a workflow of this process that no worker has registered yet. On a connection of its own: the caller's
    /// transaction may be rolled back, and the id is remembered.
    async fn register_workflow(&self, name: &str) -> Result<Newest, Error> {
        let code = self.registry().newest(name).ok_or_else(|| Error::UnknownWorkflow(name.to_owned()))?;
        let registration = self.registry().registration(&**code);
        let mut conn = self.acquire().await?;
        let id = lanes::register_workflow(self.schema(), &mut conn, &registration).await?;
        let (internal, deadline_ms) = (registration.internal, registration.deadline_ms);
        Ok(Newest { id, version: code.version(), internal, input: None, deadline_ms })
    }

    /// The run that the key belongs to, if it came with the same request.
    async fn find_existing(&self, conn: &mut PgConnection, run: &start::NewRun) -> Result<Started, Error> {
        let key = run.key.as_deref().unwrap_or_default();
        match start::key_owner(self.schema(), conn, &run.workflow, key).await? {
            Some((owner, hash)) if Some(&hash) == run.hash.as_ref() => {
                Ok(Started { run: owner, created: false, accepted_at: None })
            }
            Some((owner, _)) => Err(Error::KeyConflict(owner)),
            None => Err(Error::InvalidRequest("the key's run is not visible to this transaction".to_owned())),
        }
    }
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > StartRun::MOST_TAGS {
        let message = format!("a run has at most {} tags", StartRun::MOST_TAGS);
        return Err(Error::InvalidField { field: "tags".to_owned(), message });
    }
    tags.iter().try_for_each(|(name, value)| {
        check_label("tags", name, LONGEST_LABEL)?;
        check_label("tags", value, LONGEST_LABEL)
    })
}

fn taken_id(id: RunId) -> Error {
    Error::InvalidField { field: "id".to_owned(), message: format!("{id} is another run's") }
}

/// Whether the database refused what a row says: the others of its statement may be well.
fn is_of_a_row(error: &Error) -> bool {
    error.trouble() == Some(Trouble::Row)
}

/// A key of an internal workflow's run, unless it is one already.
fn internal_key(key: String) -> String {
    if key.starts_with(INTERNAL_KEY) || key.starts_with(SCHEDULE_KEY) { key } else { format!("{INTERNAL_KEY}{key}") }
}
