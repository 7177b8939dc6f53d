//! Schedules: the part of [`Engine`] that starts runs by the clock, and what operators do to that.
//!
//! A slot's row and its run are one commit, made by whichever server holds the schedule's lock; the slot is the row's key and
//! part of the run's key. So a slot starts at most one run, however many servers look.

use chrono::SecondsFormat;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    api::start_request::{By, StartRun, Started},
    check::check_time,
    core::{
        cron::Cron,
        model::{RunId, Time, to_json},
        schedule::{CatchUp, Overlap, QUEUED_AT_MOST, SlotDecision, SlotOutcome, Verdict, decide},
    },
    error::Error,
    names::SCHEDULE_KEY,
    read_models::{Schedule, ScheduleChange, ScheduleDetail, ScheduleSpec, ScheduledRun, Slice},
    store::{
        self,
        schedules::{self as rows, Stored},
        schema::Schema,
    },
    workflow::Workflow,
};

/// How many of the coming slots are shown.
const SHOWN_SLOTS: usize = 3;

const LONGEST_NAME: usize = 100;

impl ScheduleSpec {
    /// A schedule that starts a workflow by type, in UTC. A slot is skipped while the previous run has not ended, and one
    /// start makes up for slots that were missed.
    ///
    /// # Errors
    /// `invalid_input` when the input has no JSON form.
    pub fn new<W: Workflow>(cron: impl Into<String>, input: &W::Input) -> Result<Self, Error> {
        let json = to_json(input)
            .map_err(|error| Error::InvalidInput { workflow: W::NAME.to_owned(), message: error.to_string() })?;
        Ok(Self {
            cron: cron.into(),
            time_zone: "UTC".to_owned(),
            workflow: W::NAME.to_owned(),
            input: json,
            queue: None,
            overlap: Overlap::default(),
            catch_up: CatchUp::default(),
            paused: None,
        })
    }
}

impl Engine {
    /// Makes a schedule, or replaces it. The answer has its next slots, in a dry run too.
    ///
    /// # Errors
    /// `invalid_request` for a name, expression or zone that is none; `unknown_workflow`, `internal_workflow` (those are for
    /// [`Engine::ensure_schedule`]), `invalid_input`, `payload_too_large`.
    pub async fn set_schedule(&self, name: &str, spec: &ScheduleSpec, by: &Operator) -> Result<ScheduleChange, Error> {
        let done = self.set(name, spec, by).await;
        self.audited("set", Subject::Named(&subject(name)), by, done).await
    }

    async fn set(&self, name: &str, spec: &ScheduleSpec, by: &Operator) -> Result<ScheduleChange, Error> {
        check_name(name)?;
        let cron = Cron::parse(&spec.cron, &spec.time_zone).map_err(Error::InvalidRequest)?;
        let mut tx = self.begin().await?;
        self.check_start(&mut tx, &spec.workflow, &spec.input, spec.queue.as_deref(), By::Caller).await?;
        rows::lock(self.schema(), &mut tx, name).await?;
        let before = rows::load(self.schema(), &mut tx, name).await?;
        let now = store::now(self.schema(), &mut tx).await?;
        // What is due already is not lost by a change of the input; a new expression begins now.
        let unchanged = before.as_ref().filter(|stored| {
            (stored.spec.cron.as_str(), stored.spec.time_zone.as_str()) == (&spec.cron, &spec.time_zone)
        });
        let next_at = unchanged.map_or_else(|| cron.after(now), |stored| stored.standing.next_at);
        if next_at.is_none() {
            let message =
                format!("{:?} names no time that is still to come; \"0 9 * * 1\" is Mondays at nine", spec.cron);
            return Err(Error::InvalidRequest(message));
        }
        rows::put(self.schema(), &mut tx, name, spec, next_at, false).await?;
        let after = rows::load(self.schema(), &mut tx, name).await?.ok_or_else(|| unknown(name))?;
        let change = ScheduleChange { created: before.is_none(), dry_run: by.dry_run, schedule: view(&after) };
        audit(self.schema(), &mut tx, name, "set", by, (before.as_ref().map(describe), Some(describe(&after))), None)
            .await?;
        by.finish(tx).await?;
        Ok(change)
    }

    /// Makes a schedule if there is none of this name: what a service brings along. True: it was made.
    ///
    /// # Errors
    /// As [`Engine::set_schedule`], `unknown_workflow` aside.
    pub async fn ensure_schedule(&self, name: &str, spec: &ScheduleSpec) -> Result<bool, Error> {
        check_name(name)?;
        let cron = Cron::parse(&spec.cron, &spec.time_zone).map_err(Error::InvalidRequest)?;
        let mut conn = self.acquire().await?;
        let next_at = cron.after(store::now(self.schema(), &mut conn).await?);
        rows::put(self.schema(), &mut conn, name, spec, next_at, true).await.map_err(Error::of_write)
    }

    /// All schedules, by name.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, Error> {
        let all = rows::list(self.schema(), &mut *self.acquire().await?).await?;
        Ok(all.iter().map(view).collect())
    }

    /// A schedule with a page of its slots, newest first.
    ///
    /// # Errors
    /// `unknown_schedule`, `bad_cursor`, `invalid_request` for a limit outside 1 to 200.
    pub async fn schedule(&self, name: &str, cursor: Option<&str>, limit: u32) -> Result<ScheduleDetail, Error> {
        if !(1..=200).contains(&limit) {
            return Err(Error::InvalidRequest(format!("limit is {limit}; it goes from 1 to 200")));
        }
        let before = cursor.map(read_cursor).transpose()?;
        check_name(name).map_err(|_| unknown(name))?;
        let mut conn = self.acquire().await?;
        let stored = rows::load(self.schema(), &mut conn, name).await?.ok_or_else(|| unknown(name))?;
        let mut items = rows::load_slots(self.schema(), &mut conn, name, before, i64::from(limit) + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_cursor = items.last().filter(|_| more).map(|last| rfc3339(last.slot));
        Ok(ScheduleDetail { schedule: view(&stored), slots: Slice { items, next_cursor } })
    }

    /// Stops a schedule from starting anything until it is resumed. What it misses meanwhile, its catch-up policy decides then.
    ///
    /// # Errors
    /// `unknown_schedule`.
    pub async fn pause_schedule(&self, name: &str, by: &Operator) -> Result<ScheduleChange, Error> {
        let done = self.pause(name, true, by).await;
        self.audited("pause", Subject::Named(&subject(name)), by, done).await
    }

    /// Lets a paused schedule go on.
    ///
    /// # Errors
    /// `unknown_schedule`.
    pub async fn resume_schedule(&self, name: &str, by: &Operator) -> Result<ScheduleChange, Error> {
        let done = self.pause(name, false, by).await;
        self.audited("resume", Subject::Named(&subject(name)), by, done).await
    }

    async fn pause(&self, name: &str, paused: bool, by: &Operator) -> Result<ScheduleChange, Error> {
        let mut tx = self.begin().await?;
        let before = locked(self.schema(), &mut tx, name).await?;
        if before.paused() != paused {
            rows::pause(self.schema(), &mut tx, name, paused).await?;
            let action = if paused { "pause" } else { "resume" };
            let change = (Some(json!({"paused": !paused})), Some(json!({"paused": paused})));
            audit(self.schema(), &mut tx, name, action, by, change, None).await?;
        }
        let after = rows::load(self.schema(), &mut tx, name).await?.ok_or_else(|| unknown(name))?;
        by.finish(tx).await?;
        Ok(ScheduleChange { schedule: view(&after), created: false, dry_run: by.dry_run })
    }

    /// Removes a schedule and the record of its slots; its runs stay.
    ///
    /// # Errors
    /// `unknown_schedule`.
    pub async fn delete_schedule(&self, name: &str, by: &Operator) -> Result<ScheduleChange, Error> {
        let done = self.delete(name, by).await;
        self.audited("delete", Subject::Named(&subject(name)), by, done).await
    }

    async fn delete(&self, name: &str, by: &Operator) -> Result<ScheduleChange, Error> {
        let mut tx = self.begin().await?;
        let before = locked(self.schema(), &mut tx, name).await?;
        rows::delete(self.schema(), &mut tx, name).await?;
        audit(self.schema(), &mut tx, name, "delete", by, (Some(describe(&before)), None), None).await?;
        by.finish(tx).await?;
        Ok(ScheduleChange { schedule: view(&before), created: false, dry_run: by.dry_run })
    }

    /// Starts a run of the schedule now, beside its slots and whatever its overlap policy says.
    ///
    /// # Errors
    /// `unknown_schedule`, and what [`Engine::start`] can end with.
    pub async fn run_schedule(&self, name: &str, by: &Operator) -> Result<ScheduledRun, Error> {
        let done = self.run_now(name, by).await;
        if done.is_ok() {
            self.hint();
        }
        self.audited("run", Subject::Named(&subject(name)), by, done).await
    }

    async fn run_now(&self, name: &str, by: &Operator) -> Result<ScheduledRun, Error> {
        let mut tx = self.begin().await?;
        let stored = locked(self.schema(), &mut tx, name).await?;
        let slot = stored.now;
        let message = format!("started by {}", by.actor);
        rows::record(self.schema(), &mut tx, name, &[(slot, SlotOutcome::Started, Some(message))]).await?;
        let run = self.start_slot(&mut tx, &stored, slot).await?.run;
        rows::mark_started(self.schema(), &mut tx, name, slot, run).await?;
        audit(self.schema(), &mut tx, name, "run", by, (None, None), Some(run)).await?;
        by.finish(tx).await?;
        Ok(ScheduledRun {
            schedule: name.to_owned(),
            slot,
            run_id: Some(run).filter(|_| !by.dry_run),
            dry_run: by.dry_run,
        })
    }

    /// Decides the slots of one schedule that has some due. False: none has. [`Engine::maintenance`] calls this repeatedly.
    ///
    /// # Errors
    /// When the database fails: nothing was decided, and the next call decides it.
    pub async fn decide_schedules(&self) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let Some(name) = rows::lock_due(self.schema(), &mut tx).await? else { return Ok(false) };
        let stored = rows::load(self.schema(), &mut tx, &name).await?.ok_or_else(|| unknown(&name))?;
        let spec = &stored.spec;
        let cron = match Cron::parse(&spec.cron, &spec.time_zone) {
            Ok(cron) => cron,
            Err(message) => {
                // Nobody can set one that can't be read; one that came in otherwise must not hold up the others.
                rows::record(self.schema(), &mut tx, &name, &[(stored.now, SlotOutcome::Refused, Some(message))])
                    .await?;
                rows::advance(self.schema(), &mut tx, &name, None).await?;
                tx.commit().await?;
                return Ok(true);
            }
        };
        let decision = decide(&cron, spec.overlap, spec.catch_up, &stored.standing, stored.now);
        let records: Vec<_> = decision.slots.iter().map(recorded).collect();
        let fresh = rows::record(self.schema(), &mut tx, &name, &records).await?;
        let begins = |slot: &&SlotDecision| slot.verdict == Verdict::Start && fresh.contains(&slot.slot);
        for decided in decision.slots.iter().filter(begins) {
            match self.start_slot(&mut tx, &stored, decided.slot).await {
                Ok(started) => rows::mark_started(self.schema(), &mut tx, &name, decided.slot, started.run).await?,
                Err(error) if error.of_database().is_some() => return Err(error),
                Err(refused) => {
                    rows::mark_refused(self.schema(), &mut tx, &name, decided.slot, &refused.to_string()).await?
                }
            }
        }
        rows::advance(self.schema(), &mut tx, &name, decision.next_at).await?;
        tx.commit().await?;
        if !decision.slots.is_empty() {
            self.hint();
            tracing::info!(schedule = name, slots = decision.slots.len(), "slots of a schedule were decided");
        }
        Ok(true)
    }

    /// The key is the slot's: nobody, not even a person with the same key, starts it a second time.
    async fn start_slot(&self, conn: &mut PgConnection, schedule: &Stored, slot: Time) -> Result<Started, Error> {
        let mut request = StartRun::named(schedule.spec.workflow.clone(), schedule.spec.input.clone());
        request = request.key(format!("{SCHEDULE_KEY}{}:{}", schedule.name, rfc3339(slot)));
        request.queue = schedule.spec.queue.clone();
        request.tags = [("schedule".to_owned(), schedule.name.clone())].into();
        self.start_in(conn, request).await
    }
}

async fn locked(schema: &Schema, conn: &mut PgConnection, name: &str) -> Result<Stored, Error> {
    check_name(name).map_err(|_| unknown(name))?;
    rows::lock(schema, conn, name).await?;
    rows::load(schema, conn, name).await?.ok_or_else(|| unknown(name))
}

fn read_cursor(text: &str) -> Result<Time, Error> {
    let at = text.parse().map_err(|_| Error::BadCursor)?;
    check_time("cursor", at).map_err(|_| Error::BadCursor)?;
    Ok(at)
}

fn unknown(name: &str) -> Error {
    Error::UnknownSchedule(name.to_owned())
}

/// A name stands in addresses and keys.
fn check_name(name: &str) -> Result<(), Error> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.') {
        return Ok(());
    }
    let message = format!(
        "a schedule's name has 1 to {LONGEST_NAME} letters, digits, `-`, `_` or `.` (not at its beginning), as nightly-report"
    );
    Err(Error::InvalidRequest(message))
}

/// What the audit knows a schedule by.
fn subject(name: &str) -> String {
    format!("schedule {}", name.chars().take(LONGEST_NAME).collect::<String>())
}

async fn audit(
    schema: &Schema,
    conn: &mut PgConnection,
    name: &str,
    action: &str,
    by: &Operator,
    change: (Option<Value>, Option<Value>),
    run: Option<RunId>,
) -> Result<(), Error> {
    let (before, after) = change;
    let entry = store::audit::Entry { action, run, subject: Some(&subject(name)), before, after };
    store::audit::record_done(schema, conn, &entry, by.by()).await
}

/// What the audit keeps of a schedule.
fn describe(stored: &Stored) -> Value {
    let spec = &stored.spec;
    let input: Value = serde_json::from_str(stored.shown.get()).unwrap_or_default();
    json!({
        "cron": spec.cron, "time_zone": spec.time_zone, "workflow": spec.workflow, "input": input, "queue": spec.queue,
        "overlap": spec.overlap, "catch_up": spec.catch_up, "paused": stored.paused(),
    })
}

fn recorded(decided: &SlotDecision) -> rows::SlotRecord {
    let (outcome, message) = match decided.verdict {
        Verdict::Start => (SlotOutcome::Started, None),
        Verdict::Queue => (SlotOutcome::Queued, Some("the previous run has not ended".to_owned())),
        Verdict::Skip => (SlotOutcome::Skipped, Some("the previous run has not ended".to_owned())),
        Verdict::Full => (SlotOutcome::Skipped, Some(format!("{QUEUED_AT_MOST} slots are queued already"))),
        Verdict::Miss => (SlotOutcome::Missed, Some("nobody saw to it in time".to_owned())),
        Verdict::MissUntil(next) => {
            (SlotOutcome::Missed, Some(format!("nobody saw to it, nor to any that followed, before {}", rfc3339(next))))
        }
    };
    (decided.slot, outcome, message)
}

fn view(stored: &Stored) -> Schedule {
    let spec = &stored.spec;
    let cron = Cron::parse(&spec.cron, &spec.time_zone).ok();
    Schedule {
        name: stored.name.clone(),
        cron: spec.cron.clone(),
        time_zone: spec.time_zone.clone(),
        workflow: spec.workflow.clone(),
        input: Some(stored.shown.clone()),
        queue: spec.queue.clone(),
        overlap: spec.overlap,
        catch_up: spec.catch_up,
        paused: stored.paused(),
        next: cron.map(|cron| cron.upcoming(stored.now, SHOWN_SLOTS)).unwrap_or_default(),
        last: stored.last.clone(),
        missed: stored.missed,
        queued: stored.standing.queued.len() as i64,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    }
}

fn rfc3339(moment: Time) -> String {
    moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
