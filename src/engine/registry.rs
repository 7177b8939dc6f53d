//! The only place where types are erased: from here on a workflow is code over JSON, an activity three calls over JSON.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::Pin,
    sync::Arc,
};

use futures_util::FutureExt;
use serde::de::DeserializeOwned;

use super::{
    activity::{
        Activity, ActivityCall, ActivityCalls, ActivityContext, CallId, LARGEST_OUTPUT, Verified, contradiction,
        does_many,
    },
    activity_error::ActivityError,
    core::{
        catalog::{ActivityMeta, Catalog},
        context::Context,
        execution::{WorkflowCode, WorkflowFuture},
        model::{Direction, Failure, Json, to_json},
        schema::Schema,
        time::LONGEST,
        visibility::Visibility,
    },
    error::Error,
    store::lanes::Registration,
    workflow::Workflow,
};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One of several calls, without its types.
#[derive(Clone, Copy)]
pub(crate) struct RawCall<'a> {
    pub(crate) cx: &'a ActivityContext,
    pub(crate) input: &'a str,
    pub(crate) output: Option<&'a str>,
}

/// What the call at this place came to; an undo has no output.
pub(crate) type RawAnswer = (usize, Result<Option<Json>, ActivityError>);

/// An activity without its types.
pub(crate) trait ActivityCode: Send + Sync {
    fn run<'a>(&'a self, cx: &'a ActivityContext, input: &'a str) -> BoxFuture<'a, Result<Json, ActivityError>>;
    fn verify<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
    ) -> BoxFuture<'a, Result<Verified<Json>, ActivityError>>;
    fn undo<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
        output: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), ActivityError>>;
    /// Whether it does, or undoes, several at once.
    fn does_many(&self, _direction: Direction) -> bool {
        false
    }
    /// Does several at once, each of whose answers comes with the call's place.
    fn run_many<'a>(&'a self, _calls: Vec<RawCall<'a>>) -> BoxFuture<'a, Result<Vec<RawAnswer>, ActivityError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    /// Undoes several at once.
    fn undo_many<'a>(&'a self, _calls: Vec<RawCall<'a>>) -> BoxFuture<'a, Result<Vec<RawAnswer>, ActivityError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    /// Whether this can be read as what the activity gives; the message says why not.
    fn check_output(&self, output: &str) -> Result<(), String>;
    /// None, too, where the input can't be read by this version.
    fn undo_summary(&self, input: &str) -> Option<String>;
    /// What undoing it would mean now.
    fn undo_outlook<'a>(&'a self, input: &'a str) -> BoxFuture<'a, Option<String>>;
}

/// The workflows and activities that a process knows. Made once, at start-up.
#[derive(Default)]
pub struct Registry {
    workflows: BTreeMap<(&'static str, i32), Arc<dyn WorkflowCode>>,
    activities: HashMap<&'static str, (ActivityMeta, Arc<dyn ActivityCode>)>,
    /// Of all activities: nothing ties them to a workflow.
    secret_fields: BTreeSet<&'static str>,
    /// What [`Registry::check`] refuses.
    mistakes: Vec<String>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workflow. The same name and version again is a mistake: see [`Registry::check`].
    pub fn workflow<W: Workflow>(self, workflow: W) -> Self {
        self.add_workflow(workflow, Schema::default)
    }

    /// Adds a workflow and the JSON schemas of its input and output. The API shows them, and servers without the workflow's code
    /// check inputs by them.
    #[cfg(feature = "server")]
    pub fn described_workflow<W>(self, workflow: W) -> Self
    where
        W: Workflow<Input: utoipa::ToSchema, Output: utoipa::ToSchema>,
    {
        self.add_workflow(workflow, Schema::of::<W::Input, W::Output>)
    }

    fn add_workflow<W: Workflow>(mut self, workflow: W, schema: fn() -> Schema) -> Self {
        let code = TypedWorkflow { workflow: Arc::new(workflow), schema };
        if self.workflows.insert((W::NAME, W::VERSION), Arc::new(code)).is_some() {
            self.mistakes.push(format!("two workflows are named {} and have version {}", W::NAME, W::VERSION));
        }
        self
    }

    /// Adds an activity. The same name again is a mistake: see [`Registry::check`].
    pub fn activity<A: Activity>(self, activity: A) -> Self {
        self.add_activity(activity, Schema::default)
    }

    /// Adds an activity and the JSON schemas of its input and output. The API shows them, and servers without the activity's code
    /// check by them what an operator says that a step gave.
    #[cfg(feature = "server")]
    pub fn described_activity<A>(self, activity: A) -> Self
    where
        A: Activity<Input: utoipa::ToSchema, Output: utoipa::ToSchema>,
    {
        self.add_activity(activity, Schema::of::<A::Input, A::Output>)
    }

    fn add_activity<A: Activity>(mut self, activity: A, schema: fn() -> Schema) -> Self {
        let meta = ActivityMeta {
            name: A::NAME,
            policy: A::policy(),
            undoable: A::UNDOABLE,
            verifiable: A::VERIFIABLE && !A::TRANSACTIONAL && !A::READ_ONLY,
            transactional: A::TRANSACTIONAL,
            read_only: A::READ_ONLY,
            queue: A::QUEUE,
            schema,
        };
        self.secret_fields.extend(A::secret_fields());
        if let Some(what) = contradiction::<A>() {
            self.mistakes.push(format!("activity {} {what}", A::NAME));
        }
        if self.activities.insert(A::NAME, (meta, Arc::new(TypedActivity(activity)))).is_some() {
            self.mistakes.push(format!("two activities are named {}", A::NAME));
        }
        self
    }

    /// With every activity's code in something else: for tests that inject faults.
    pub(crate) fn wrapped(mut self, wrap: impl Fn(&Arc<dyn ActivityCode>) -> Arc<dyn ActivityCode>) -> Self {
        for (_, code) in self.activities.values_mut() {
            *code = wrap(code);
        }
        self
    }

    /// What is wrong with what was added, which would fail in silence later. A worker checks it before it begins.
    ///
    /// # Errors
    /// `invalid_registry`: two of one name, or an activity that contradicts itself.
    pub fn check(&self) -> Result<(), Error> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Error::InvalidRegistry(self.mistakes.join("; "))) }
    }

    /// The workflows, by name and version.
    pub fn workflows(&self) -> impl Iterator<Item = &Arc<dyn WorkflowCode>> {
        self.workflows.values()
    }

    /// The activities, in the order of their names.
    pub fn activities(&self) -> Vec<&ActivityMeta> {
        let mut all: Vec<_> = self.activities.values().map(|(meta, _)| meta).collect();
        all.sort_by_key(|meta| meta.name);
        all
    }

    /// Fields that are never shown of a workflow's runs: its own, and those of all activities here.
    fn secret_fields(&self, code: &dyn WorkflowCode) -> Vec<String> {
        let all: BTreeSet<&str> = self.secret_fields.iter().chain(code.secret_fields()).copied().collect();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Fields that are never shown of runs of a workflow, in any version.
    pub(crate) fn secret_fields_of(&self, workflow: &str) -> Vec<String> {
        let versions = self.workflows.values().filter(|code| code.name() == workflow);
        versions.flat_map(|code| self.secret_fields(&**code)).collect()
    }

    /// What is recorded of a workflow when it is registered.
    pub(crate) fn registration<'a>(&self, code: &'a dyn WorkflowCode) -> Registration<'a> {
        let Schema { input, output } = code.schema();
        Registration {
            name: code.name(),
            version: code.version(),
            secret_fields: self.secret_fields(code),
            internal: code.visibility() == Visibility::Internal,
            public_signals: code.public_signals().to_vec(),
            input: input.map(|schema| schema.to_string()),
            output: output.map(|schema| schema.to_string()),
            deadline_ms: deadline_ms(code),
        }
    }

    /// The newest version of a workflow.
    pub fn newest(&self, name: &str) -> Option<&Arc<dyn WorkflowCode>> {
        self.workflows.iter().rev().find(|((known, _), _)| *known == name).map(|(_, code)| code)
    }

    pub(crate) fn code(&self, activity: &str) -> Option<Arc<dyn ActivityCode>> {
        self.activities.get(activity).map(|(_, code)| code.clone())
    }
}

/// How long a run may take before its pivot.
pub(crate) fn deadline_ms(code: &dyn WorkflowCode) -> Option<i64> {
    code.deadline().map(|span| span.min(LONGEST).as_millis() as i64)
}

impl Catalog for Registry {
    fn activity(&self, name: &str) -> Option<&ActivityMeta> {
        self.activities.get(name).map(|(meta, _)| meta)
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workflows: Vec<_> = self.workflows.keys().collect();
        f.debug_struct("Registry").field("workflows", &workflows).field("activities", &self.activities()).finish()
    }
}

struct TypedWorkflow<W> {
    workflow: Arc<W>,
    schema: fn() -> Schema,
}

impl<W: Workflow> WorkflowCode for TypedWorkflow<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn version(&self) -> i32 {
        W::VERSION
    }

    fn deadline(&self) -> Option<std::time::Duration> {
        W::DEADLINE
    }

    fn schema(&self) -> Schema {
        (self.schema)()
    }

    fn secret_fields(&self) -> &'static [&'static str] {
        W::secret_fields()
    }

    fn visibility(&self) -> Visibility {
        W::VISIBILITY
    }

    fn public_signals(&self) -> &'static [&'static str] {
        W::public_signals()
    }

    fn check(&self, input: &str) -> Result<(), String> {
        serde_json::from_str::<W::Input>(input).map(drop).map_err(|error| error.to_string())
    }

    fn begin(&self, cx: Context, input: &str) -> Result<WorkflowFuture, Failure> {
        let input: W::Input =
            serde_json::from_str(input).map_err(|error| Failure::new("undecodable_input", error.to_string()))?;
        let workflow = self.workflow.clone();
        Ok(async move {
            let output = workflow.run(&cx, input).await?;
            checked_json(&output).map_err(|(code, message)| Failure::new(code, message))
        }
        .boxed())
    }
}

struct TypedActivity<A>(A);

impl<A: Activity> ActivityCode for TypedActivity<A> {
    fn run<'a>(&'a self, cx: &'a ActivityContext, input: &'a str) -> BoxFuture<'a, Result<Json, ActivityError>> {
        async move {
            let input = decode("undecodable_input", input)?;
            encode(&self.0.run(cx, &input).await?)
        }
        .boxed()
    }

    fn verify<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
    ) -> BoxFuture<'a, Result<Verified<Json>, ActivityError>> {
        async move {
            let input = decode("undecodable_input", input)?;
            Ok(match self.0.verify(cx, &input).await? {
                Verified::Happened(output) => Verified::Happened(encode(&output)?),
                Verified::NeverWill => Verified::NeverWill,
                Verified::NotYet => Verified::NotYet,
            })
        }
        .boxed()
    }

    fn undo<'a>(
        &'a self,
        cx: &'a ActivityContext,
        input: &'a str,
        output: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), ActivityError>> {
        async move {
            let input = decode("undecodable_input", input)?;
            // An output that an older version wrote and this one can't read must not stop the undo: input suffices.
            let output = output.and_then(|text| serde_json::from_str(text).ok());
            self.0.undo(cx, &input, output.as_ref()).await
        }
        .boxed()
    }

    fn does_many(&self, direction: Direction) -> bool {
        does_many::<A>(direction)
    }

    fn run_many<'a>(&'a self, calls: Vec<RawCall<'a>>) -> BoxFuture<'a, Result<Vec<RawAnswer>, ActivityError>> {
        async move {
            let (inputs, mut answers) = decode_inputs::<A>(&calls);
            let calls = typed_calls::<A>(&calls, &inputs, &[]);
            if !calls.0.is_empty() {
                let given = self.0.run_many(&calls).await?;
                answers.extend(
                    given.into_iter().map(|(id, result)| (id.0, result.and_then(|out| encode(&out)).map(Some))),
                );
            }
            Ok(answers)
        }
        .boxed()
    }

    fn undo_many<'a>(&'a self, calls: Vec<RawCall<'a>>) -> BoxFuture<'a, Result<Vec<RawAnswer>, ActivityError>> {
        async move {
            let (inputs, mut answers) = decode_inputs::<A>(&calls);
            // As above: an output that can't be read is as good as none.
            let outputs: Vec<Option<A::Output>> =
                calls.iter().map(|call| serde_json::from_str(call.output?).ok()).collect();
            let calls = typed_calls::<A>(&calls, &inputs, &outputs);
            if !calls.0.is_empty() {
                let given = self.0.undo_many(&calls).await?;
                answers.extend(given.into_iter().map(|(id, result)| (id.0, result.map(|()| None))));
            }
            Ok(answers)
        }
        .boxed()
    }

    fn check_output(&self, output: &str) -> Result<(), String> {
        serde_json::from_str::<A::Output>(output).map(drop).map_err(|error| error.to_string())
    }

    fn undo_summary(&self, input: &str) -> Option<String> {
        A::undo_summary(&serde_json::from_str(input).ok()?)
    }

    fn undo_outlook<'a>(&'a self, input: &'a str) -> BoxFuture<'a, Option<String>> {
        async move { self.0.undo_outlook(&serde_json::from_str(input).ok()?).await }.boxed()
    }
}

/// The inputs of several calls, and the answers of those whose input can't be read.
fn decode_inputs<A: Activity>(calls: &[RawCall<'_>]) -> (Vec<Option<A::Input>>, Vec<RawAnswer>) {
    let (mut inputs, mut answers) = (Vec::with_capacity(calls.len()), Vec::new());
    for (place, call) in calls.iter().enumerate() {
        match decode("undecodable_input", call.input) {
            Ok(input) => inputs.push(Some(input)),
            Err(error) => {
                inputs.push(None);
                answers.push((place, Err(error)));
            }
        }
    }
    (inputs, answers)
}

fn typed_calls<'a, A: Activity>(
    calls: &[RawCall<'a>],
    inputs: &'a [Option<A::Input>],
    outputs: &'a [Option<A::Output>],
) -> ActivityCalls<'a, A> {
    let read = calls.iter().zip(inputs).enumerate();
    let typed = read.filter_map(|(place, (call, input))| {
        let output = outputs.get(place).and_then(Option::as_ref);
        Some(ActivityCall { id: CallId(place), cx: call.cx, input: input.as_ref()?, output })
    });
    ActivityCalls(typed.collect())
}

fn decode<T: DeserializeOwned>(code: &str, text: &str) -> Result<T, ActivityError> {
    serde_json::from_str(text).map_err(|error| ActivityError::failed(code, error.to_string()).fatal())
}

/// The effect has happened, so an output without a JSON form leaves the step unknown, not failed.
fn encode<T: serde::Serialize>(output: &T) -> Result<Json, ActivityError> {
    checked_json(output).map_err(|(code, message)| ActivityError::unknown(code, message).fatal())
}

/// An output as it is recorded, or the code and the sentence of why it can't be.
fn checked_json<T: serde::Serialize>(output: &T) -> Result<Json, (&'static str, String)> {
    let json = to_json(output).map_err(|error| ("unencodable_output", error.to_string()))?;
    match json.get().len() {
        size if size > LARGEST_OUTPUT => {
            Err(("output_too_large", format!("the output has {size} bytes; the limit is {LARGEST_OUTPUT}")))
        }
        _ => Ok(json),
    }
}
