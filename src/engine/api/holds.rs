//! Holds: pause by workflow, activity or queue, for when another system is down.
//!
//! - A held *queue* or *workflow*: no run of it is claimed; of runs that a worker has already, nothing more begins.
//! - A held *activity*: none of its attempts, verifications and undos begins, in whatever workflow; everything else goes on.
//!
//! Attempts under way may end, in both. Workers learn of a hold at once or, where the hint is lost, within about a second.
//! A hold freezes no timers: a deadline that passes meanwhile has passed.

use serde_json::{Value, json};

use crate::engine::{
    api::audit::{Operator, Subject},
    api::engine::Engine,
    core::holds::HoldKind,
    error::Error,
    names::{check_name, check_queue},
    read_models::Hold,
    store::{activities, audit, holds},
};

/// Runs that a release brings back in one statement.
const AT_ONCE: i64 = 1_000;

const LONGEST_NAME: usize = 128;

impl Engine {
    /// Holds a workflow, an activity or a queue. An existing hold stays as it is.
    ///
    /// # Errors
    /// `reason_required`, `invalid_request`, `unknown_workflow`.
    pub async fn hold(&self, kind: HoldKind, name: &str, by: &Operator) -> Result<Hold, Error> {
        let subject = subject(kind, name);
        let held = self.try_hold(kind, name, by, &subject).await;
        self.audited("hold", Subject::Named(&subject), by, held).await
    }

    async fn try_hold(&self, kind: HoldKind, name: &str, by: &Operator, subject: &str) -> Result<Hold, Error> {
        check_name(kind.word(), Some(name), LONGEST_NAME)?;
        check_queue(Some(name))?;
        let reason = by.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
        let reason = reason.ok_or(Error::ReasonRequired("hold"))?;
        let mut tx = self.begin().await?;
        if kind == HoldKind::Workflow && !holds::knows_workflow(self.schema(), &mut tx, name).await? {
            return Err(Error::UnknownWorkflow(name.to_owned()));
        }
        let (mut hold, is_new) = holds::set(self.schema(), &mut tx, kind, name, &by.actor, reason).await?;
        if is_new {
            audit::record_done(self.schema(), &mut tx, &entry("hold", subject, None, json!({"held": true})), by.by())
                .await?;
        }
        // Held all the same: it may be an activity of a worker that is yet to come.
        let unheard = kind == HoldKind::Activity
            && self.registry().code(name).is_none()
            && activities::output_schema(self.schema(), &mut tx, name).await?.is_none();
        hold.note =
            unheard.then(|| format!("no worker has registered an activity named {name}: is that how it is spelt?"));
        by.finish(tx).await?;
        Ok(hold)
    }

    /// Releases a hold and returns it. Runs that were put aside for it go on.
    ///
    /// # Errors
    /// `unknown_hold` where it is not held.
    pub async fn release(&self, kind: HoldKind, name: &str, by: &Operator) -> Result<Hold, Error> {
        let subject = subject(kind, name);
        let released = self.try_release(kind, name, by, &subject).await;
        let hold = self.audited("release", Subject::Named(&subject), by, released).await?;
        if !by.dry_run {
            let mut conn = self.acquire().await?;
            // Maintenance brings back the rest after a crash here, and runs of workers that had not read of the release yet.
            while holds::bring_back_released(self.schema(), &mut conn, AT_ONCE).await? == AT_ONCE as u64 {}
            self.hint();
        }
        Ok(hold)
    }

    async fn try_release(&self, kind: HoldKind, name: &str, by: &Operator, subject: &str) -> Result<Hold, Error> {
        check_name(kind.word(), Some(name), LONGEST_NAME)?;
        let mut tx = self.begin().await?;
        let hold = holds::release(self.schema(), &mut tx, kind, name).await?;
        let hold = hold.ok_or_else(|| Error::UnknownHold(subject.to_owned()))?;
        let before = json!({"held": true, "since": hold.since, "reason": hold.reason});
        audit::record_done(
            self.schema(),
            &mut tx,
            &entry("release", subject, Some(before), json!({"held": false})),
            by.by(),
        )
        .await?;
        by.finish(tx).await?;
        Ok(hold)
    }

    /// All holds, oldest first.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn holds(&self) -> Result<Vec<Hold>, Error> {
        holds::list(self.schema(), &mut *self.acquire().await?).await
    }
}

fn subject(kind: HoldKind, name: &str) -> String {
    // A name that no hold can have is not worth its length in the audit.
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    format!("{} {name}", kind.word())
}

/// What the audit keeps of who did what, and why.
fn entry<'a>(action: &'a str, subject: &'a str, before: Option<Value>, after: Value) -> audit::Entry<'a> {
    audit::Entry { action, run: None, subject: Some(subject), before, after: Some(after) }
}
