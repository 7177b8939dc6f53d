//! Differences between our books and the gateway's: reading them, and having the books compared.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Orders;
use crate::{
    engine::{self, AuditRecord, Operator, Slice, StartRun, to_json},
    orders::{
        difference::{Difference, DifferenceState, Mend, OpenDifferences, Reconciliation},
        error::Error,
        runs::{MEND, MendInput, RECONCILE, ReconcileInput},
        state::Word,
        store::differences,
    },
};

/// Which differences to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DifferenceFilter {
    /// Only those of this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DifferenceState>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A request to mend a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MendDifference {
    /// Why: needed, unless it is a dry run.
    #[cfg_attr(feature = "server", schema(max_length = 2000))]
    pub reason: Option<String>,
    /// `write_off` instead of what mends its kind.
    pub mend: Option<Mend>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What is done about a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct MendPlan {
    /// The difference, as it then is.
    pub difference: Difference,
    /// What mends it.
    pub mend: Mend,
    /// What is done, in a sentence.
    pub plan: String,
    /// Nothing was done.
    pub dry_run: bool,
}

impl Orders {
    /// One difference.
    ///
    /// # Errors
    /// `unknown_difference`.
    pub async fn difference(&self, id: Uuid) -> Result<Difference, Error> {
        let found = differences::find(&mut *self.engine.acquire().await?, id).await?;
        found.ok_or(Error::UnknownDifference(id))
    }

    /// Starts a run that mends a difference; in a dry run only says what it would do.
    ///
    /// # Errors
    /// `unknown_difference`; `difference_not_open`; `difference_being_mended`; `reason_required`; `invalid_request` for a
    /// mend that does not fit.
    pub async fn mend_difference(&self, id: Uuid, request: &MendDifference) -> Result<MendPlan, Error> {
        let by = Operator::new(&*self.actor, request.reason.as_deref(), request.dry_run)?;
        let seen = self.difference(id).await?;
        let mend = request.mend.unwrap_or(seen.kind.mend());
        if mend != seen.kind.mend() && mend != Mend::WriteOff {
            let fits = match seen.kind.mend() {
                Mend::WriteOff => String::new(),
                other => format!("{} or ", other.word()),
            };
            let (kind, wanted) = (seen.kind.word(), mend.word());
            return Err(Error::InvalidRequest(format!("{kind} is mended by {fits}write_off, not by {wanted}")));
        }
        let busy = self.mending(&seen).await?;
        let mut tx = self.engine.begin().await?;
        let difference = differences::lock(&mut tx, id).await?.ok_or(Error::UnknownDifference(id))?;
        if difference.state != DifferenceState::Open {
            return Err(Error::DifferenceNotOpen(difference.state.word()));
        }
        let began_meanwhile = difference.mend_run.filter(|_| difference.mend_run != seen.mend_run);
        if let Some(run) = busy.or(began_meanwhile) {
            return Err(Error::DifferenceBeingMended(run));
        }
        let input = MendInput::new(&difference, mend);
        let plan = input.plan();
        if request.dry_run {
            return Ok(MendPlan { difference, mend, plan, dry_run: true });
        }
        let reason = by.reason.as_deref().ok_or(engine::Error::ReasonRequired("mend"))?;
        let tags = difference.order_id.map(|order| ("order".to_owned(), order.to_string())).into_iter().collect();
        let json = to_json(&input).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let run = self.engine.start_in(&mut tx, StartRun { tags, ..StartRun::named(MEND, json) }).await?.run;
        differences::begin_mend(&mut tx, id, mend, (&by.actor, reason), run).await?;
        let done = AuditRecord {
            action: "mend_difference",
            run: Some(run),
            subject: Some(&format!("difference {id}")),
            before: Some(json!({"kind": difference.kind, "expected": input.expected, "actual": input.actual})),
            after: Some(json!({"mend": mend, "plan": plan})),
        };
        self.engine.audit_in(&mut tx, &done, &by).await?;
        tx.commit().await?;
        self.engine.hint();
        Ok(MendPlan { difference: self.difference(id).await.map_err(Error::after_write)?, mend, plan, dry_run: false })
    }

    /// The run that is mending a difference at this moment. One that failed leaves the difference to another.
    async fn mending(&self, difference: &Difference) -> Result<Option<Uuid>, Error> {
        let Some(run) = difference.mend_run else { return Ok(None) };
        match self.engine.run(run).await {
            Ok(found) if found.status.has_ended() => Ok(None),
            Ok(_) => Ok(Some(run)),
            Err(engine::Error::UnknownRun(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A page of differences, the latest first.
    ///
    /// # Errors
    /// `invalid_request` for a limit outside 1 to 200; `bad_cursor`.
    pub async fn differences(&self, filter: &DifferenceFilter) -> Result<Slice<Difference>, Error> {
        let limit = filter.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Error::InvalidRequest(format!("limit is {limit}; it must be 1 to 200")));
        }
        let before = filter.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor));
        let mut conn = self.engine.acquire().await?;
        let fetched = i64::from(limit) + 1;
        let mut items = differences::load_page(&mut conn, filter.state, before.transpose()?, fetched).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_cursor = items.last().filter(|_| more).map(|last| last.id.simple().to_string());
        Ok(Slice { items, next_cursor })
    }

    /// How many differences are open, by kind.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn open_differences(&self) -> Result<Vec<OpenDifferences>, Error> {
        Ok(differences::count_open(&mut *self.engine.acquire().await?).await?)
    }

    /// One comparison by its run, or the latest; none where none has begun.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn reconciliation(&self, run: Option<Uuid>) -> Result<Option<Reconciliation>, Error> {
        let found = differences::find_reconciliation(&mut *self.engine.acquire().await?, run).await?;
        if let (None, Some(run)) = (&found, run) {
            self.engine.run(run).await?;
        }
        Ok(found)
    }

    /// Starts a comparison beside the scheduled ones; gives its run.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn reconcile(&self, scope: &ReconcileInput) -> Result<Uuid, Error> {
        let input = to_json(scope).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        let mut tx = self.engine.begin().await?;
        let started = self.engine.start_in(&mut tx, StartRun::named(RECONCILE, input)).await?;
        let run = started.run;
        let done = AuditRecord {
            action: "reconcile",
            run: Some(run),
            subject: Some("the books"),
            before: None,
            after: Some(json!({"run_id": run})),
        };
        self.audit(&mut tx, &done, None).await?;
        tx.commit().await?;
        self.engine.hint();
        Ok(run)
    }
}
