//! A filter as SQL: from which rows the runs that it matches are found, and what they have to fulfil.
//!
//! No index on `run` names a status, an error or anything else that changes: that would cost each end of a run its HOT
//! update (docs/decisions/0019). So a status is found from the table whose rows mean it (`unhealthy`, `ready`, `timer`),
//! an error from where errors are kept; completed runs, which are nearly all, by going backwards through the runs.
//! [`Source`] is that choice. What is looked at is always the run's own row: the source only says where to look.
//!
//! The statement is put together from constant pieces; values are bound. It is planned anew each time, because a plan that
//! does not know the values is a bad one for either the rare or the common ones.

use std::time::Duration;

use sqlx::{PgConnection, Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use super::super::schema::Schema;
use crate::engine::{
    check::{check_text, check_time},
    core::{model::Time, time::Moment},
    error::Error,
    names::INTERNAL_KEY,
    read_models::{RunFilter, RunStatus},
};

/// Ids are made by the callers' clocks, `created_at` by the database's: they may be this far apart.
const SLACK: Duration = Duration::from_secs(60 * 60);

/// No name, key or tag is longer: `name:value`, each of 255 characters.
const LONGEST_CONDITION: usize = 512;

/// Where the runs are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The key's own table.
    Key,
    /// `attention`, by fingerprint.
    Fingerprint,
    /// `unhealthy`, by status.
    Unhealthy,
    /// `ready`: pending and running.
    Ready,
    /// `timer`: waiting.
    Timer,
    /// `unhealthy` and `attention`, by error code or step.
    Errors,
    /// `attention`.
    Attention,
    /// The runs themselves, newest first.
    Runs,
}

/// A filter that has been checked, with what had to be looked up for it.
#[derive(Clone, Debug)]
pub(crate) struct Matching {
    filter: RunFilter,
    source: Source,
    /// The ids of the workflow and version that are asked for; none where neither is.
    workflows: Option<Vec<i32>>,
    fingerprint: Option<i64>,
    /// No id of a run that matches is smaller.
    from: Option<Uuid>,
    /// Every id of a run that matches is smaller.
    to: Option<Uuid>,
}

/// Checks a filter and makes it ready to be used in a statement.
///
/// # Errors
/// `invalid_request`, with a sentence that says what is allowed.
pub(crate) async fn find_matching(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &RunFilter,
) -> Result<Matching, Error> {
    let fingerprint = check(filter)?;
    let workflows = if filter.workflow.is_some() || filter.version.is_some() {
        let query = "SELECT id FROM {schema}.workflow
            WHERE ($1::text IS NULL OR name = $1) AND ($2::int IS NULL OR version = $2)";
        Some(
            sqlx::query_scalar(schema.sql(query))
                .bind(&filter.workflow)
                .bind(filter.version)
                .fetch_all(&mut *conn)
                .await?,
        )
    } else {
        None
    };
    let (mut from, mut to) = (None, None);
    if filter.since.is_some() || filter.until.is_some() {
        // A clock that a test has moved: ids were made by the unmoved one.
        let query = "SELECT (extract(epoch FROM shift) * 1000)::bigint FROM {schema}.clock";
        let shift: i64 = sqlx::query_scalar(schema.sql(query)).fetch_one(&mut *conn).await?;
        let by = |ms: i64| SLACK.saturating_add(Duration::from_millis(ms.max(0).cast_unsigned()));
        from = filter.since.map(|since| first_id(since.earlier(by(shift))));
        to = filter.until.map(|until| first_id(until.later(by(shift.saturating_neg()))));
    }
    Ok(Matching { source: choose_source(filter), filter: filter.clone(), workflows, fingerprint, from, to })
}

/// The smallest UUIDv7 of a moment.
fn first_id(at: Time) -> Uuid {
    let ms = u64::try_from(at.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1);
    Uuid::from_u128(u128::from(ms) << 80)
}

fn choose_source(filter: &RunFilter) -> Source {
    match filter.status {
        _ if filter.key.is_some() => Source::Key,
        _ if filter.fingerprint.is_some() => Source::Fingerprint,
        Some(RunStatus::Waiting) => Source::Timer,
        Some(RunStatus::Pending | RunStatus::Running) => Source::Ready,
        Some(status) if status != RunStatus::Completed => Source::Unhealthy,
        _ if filter.error.is_some() || filter.step.is_some() => Source::Errors,
        _ if filter.attention => Source::Attention,
        _ => Source::Runs,
    }
}

/// What can be said of a filter without the database; gives the fingerprint as the tables hold it.
fn check(filter: &RunFilter) -> Result<Option<i64>, Error> {
    let RunFilter { workflow, key, tag, error, step, since, until, .. } = filter;
    for (name, text) in [("workflow", workflow), ("key", key), ("tag", tag), ("error", error), ("step", step)] {
        let Some(text) = text else { continue };
        if text.is_empty() {
            let message = "it is empty; leave it out to have no such condition".to_owned();
            return Err(Error::InvalidField { field: name.to_owned(), message });
        }
        check_text(name, text, LONGEST_CONDITION)?;
    }
    for (name, at) in [("since", since), ("until", until)] {
        at.map_or(Ok(()), |at| check_time(name, at))?;
    }
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        return Err(Error::InvalidRequest(format!("since ({since}) is not before until ({until})")));
    }
    filter.fingerprint.as_deref().map(fingerprint).transpose()
}

/// A fingerprint from its 16 hexadecimal digits.
pub(crate) fn fingerprint(text: &str) -> Result<i64, Error> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
    number.map(u64::cast_signed).ok_or_else(|| {
        Error::InvalidRequest(format!("a fingerprint has 16 hexadecimal digits; {text} does not look like one"))
    })
}

impl Matching {
    /// Whether, going through the runs, many may have to be passed over before one matches.
    pub(super) fn may_be_rare(&self) -> bool {
        self.source == Source::Runs && (self.filter.tag.is_some() || self.workflows.is_some())
    }

    /// The expression that pages go by, whose index gives them in order.
    pub(crate) fn id(&self) -> &'static str {
        if self.source == Source::Runs { "r.id" } else { "d.run_id" }
    }

    /// Adds `FROM … WHERE …`; the run's row is `r` in it.
    pub(crate) fn push_to(&self, schema: &Schema, query: &mut QueryBuilder<Postgres>) {
        self.push_source(schema, query);
        query.push(" WHERE true");
        self.push_status(schema, query);
        self.push_errors(schema, query);
        let (id, filter) = (self.id(), &self.filter);
        if let Some(from) = self.from {
            query.push(format_args!(" AND {id} >= ")).push_bind(from);
        }
        if let Some(to) = self.to {
            query.push(format_args!(" AND {id} < ")).push_bind(to);
        }
        if let Some(since) = filter.since {
            query.push(" AND r.created_at >= ").push_bind(since);
        }
        if let Some(until) = filter.until {
            query.push(" AND r.created_at < ").push_bind(until);
        }
        let workflow_id = match self.source {
            Source::Unhealthy | Source::Ready => "d.workflow_id",
            _ => "r.workflow_id",
        };
        if let Some(workflows) = &self.workflows {
            query.push(format_args!(" AND {workflow_id} = ANY (")).push_bind(workflows.clone()).push(")");
        }
        if let Some(tag) = filter.tag.as_deref() {
            query.push(" AND r.tags IS NOT NULL AND r.tags ");
            match tag.split_once(':') {
                Some((name, value)) => {
                    query.push("@> ").push_bind(Json(serde_json::Map::from_iter([(name.to_owned(), value.into())])))
                }
                None => query.push("? ").push_bind(tag.to_owned()),
            };
        }
    }

    fn push_source(&self, schema: &Schema, query: &mut QueryBuilder<Postgres>) {
        const DISTINCT: &str = "(SELECT DISTINCT run_id FROM {schema}.attention";
        let filter = &self.filter;
        query.push(" FROM ");
        match self.source {
            Source::Runs => {
                query.push(schema.text("{schema}.run r"));
                return;
            }
            Source::Unhealthy => query.push(schema.text("{schema}.unhealthy d")),
            Source::Ready => query.push(schema.text("{schema}.ready d")),
            Source::Timer => query.push(schema.text("{schema}.timer d")),
            Source::Attention => query.push(schema.text(DISTINCT)).push(" ORDER BY run_id DESC) d"),
            Source::Fingerprint => {
                query.push(schema.text(DISTINCT)).push(" WHERE fingerprint = ").push_bind(self.fingerprint);
                query.push(" ORDER BY run_id DESC) d")
            }
            Source::Key => {
                // The table's key begins with the workflow, and there are few of those.
                query
                    .push(schema.text("(SELECT run_id FROM {schema}.run_key WHERE key IN ("))
                    .push_bind(filter.key.clone())
                    .push(", ")
                    .push_bind(filter.key.as_ref().map(|key| format!("{INTERNAL_KEY}{key}")))
                    .push(")");
                match &filter.workflow {
                    Some(workflow) => query.push(" AND workflow = ").push_bind(workflow.clone()),
                    None => query
                        .push(schema.text(" AND workflow = ANY (ARRAY(SELECT DISTINCT name FROM {schema}.workflow))")),
                };
                query.push(") d")
            }
            Source::Errors => {
                let (column, value) = match &filter.error {
                    Some(code) => ("code", code.clone()),
                    None => ("step_name", filter.step.clone().unwrap_or_default()),
                };
                // Both in order, and merged: nothing is sorted, and nothing read beyond the page.
                query
                    .push(schema.text("(SELECT DISTINCT u.run_id FROM ((SELECT run_id FROM {schema}.unhealthy WHERE "));
                query.push(format_args!("{column} = ")).push_bind(value.clone());
                query.push(
                    schema.text(" ORDER BY run_id DESC) UNION ALL (SELECT run_id FROM {schema}.attention WHERE "),
                );
                query.push(format_args!("{column} = ")).push_bind(value);
                query.push(" ORDER BY run_id DESC)) u ORDER BY u.run_id DESC) d")
            }
        };
        query.push(schema.text(" JOIN {schema}.run r ON r.id = d.run_id"));
    }

    fn push_status(&self, schema: &Schema, query: &mut QueryBuilder<Postgres>) {
        let never_held =
            schema.text("EXISTS (SELECT FROM {schema}.ready q WHERE q.run_id = r.id AND q.fresh AND q.lane IS NULL)");
        let due = schema.text("EXISTS (SELECT FROM {schema}.ready q WHERE q.run_id = r.id)");
        let Some(status) = self.filter.status else { return };
        match (status, self.source) {
            (RunStatus::Pending, Source::Ready) => query.push(" AND d.fresh AND d.lane IS NULL AND r.status IN (0, 1)"),
            (RunStatus::Pending, _) => query.push(format_args!(" AND r.status IN (0, 1) AND {never_held}")),
            (RunStatus::Running, Source::Ready) => {
                query.push(" AND NOT (d.fresh AND d.lane IS NULL) AND r.status IN (0, 1)")
            }
            (RunStatus::Running, _) => {
                query.push(format_args!(" AND (r.status = 0 OR r.status = 1 AND {due}) AND NOT {never_held}"))
            }
            (RunStatus::Waiting, _) => query.push(format_args!(" AND r.status = 1 AND NOT {due}")),
            (status, Source::Unhealthy) => {
                query.push(" AND d.status = ").push_bind(status.stored().code()).push(" AND r.status = d.status")
            }
            (status, _) => query.push(" AND r.status = ").push_bind(status.stored().code()),
        };
    }

    /// What the source does not say already. As sets that are made once, not as a look per run.
    fn push_errors(&self, schema: &Schema, query: &mut QueryBuilder<Postgres>) {
        let id = self.id();
        let filter = &self.filter;
        let by_code = self.source == Source::Errors && filter.error.is_some();
        let by_step = self.source == Source::Errors && filter.error.is_none();
        for (column, value) in [
            ("code", filter.error.as_ref().filter(|_| !by_code)),
            ("step_name", filter.step.as_ref().filter(|_| !by_step)),
        ] {
            let Some(value) = value else { continue };
            if self.source == Source::Unhealthy {
                query.push(format_args!(" AND (d.{column} = ")).push_bind(value.clone());
            } else {
                query
                    .push(format_args!(" AND ({id} IN (SELECT x.run_id FROM {schema}.unhealthy x WHERE x.{column} = "));
                query.push_bind(value.clone()).push(")");
            }
            query.push(format_args!(" OR {id} IN (SELECT a.run_id FROM {schema}.attention a WHERE a.{column} = "));
            query.push_bind(value.clone()).push("))");
        }
        if filter.attention && !matches!(self.source, Source::Attention | Source::Fingerprint) {
            query.push(format_args!(" AND {id} IN (SELECT a.run_id FROM {schema}.attention a)"));
        }
        if let Some(fingerprint) = self.fingerprint.filter(|_| self.source != Source::Fingerprint) {
            query.push(format_args!(" AND {id} IN (SELECT a.run_id FROM {schema}.attention a WHERE a.fingerprint = "));
            query.push_bind(fingerprint).push(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_sixteen_digits() {
        assert_eq!(fingerprint("ffffffffffffffff").ok(), Some(-1));
        assert_eq!(fingerprint("000000000000000a").ok(), Some(10));
        for wrong in ["", "a", "+00000000000000a", "000000000000000g", "00000000000000000"] {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_id_of_a_moment_is_the_least() {
        let at: Time = "2026-11-21T00:00:00Z".parse().expect("a time");
        let first = first_id(at);
        assert_eq!(first.simple().to_string()[..12], format!("{:012x}", at.timestamp_millis())[..]);
        assert!(first_id(at.earlier(Duration::from_millis(1))) < first);
        assert_eq!(first_id(chrono::DateTime::UNIX_EPOCH.earlier(Duration::from_secs(3_600))), Uuid::nil());
    }
}
