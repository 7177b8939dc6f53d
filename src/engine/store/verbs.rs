//! Operators' verbs: locks a run's rows, asks the core what comes of the verb, and writes that with its audit in one commit.
//!
//! Locks, in order: run, timer, ready. With them no worker can take the run, let go of it or end it before the commit, and
//! a worker that holds it is seen. Steps are written only where none does, or where it can't be writing them.

use serde_json::json;
use sqlx::{PgConnection, Row};

use super::{
    activities, attention, audit, claim, paused, rows::parse_json, schema::Schema, transaction::begin_on, unhealthy,
};
use crate::engine::{
    core::{
        mismatch::check_text,
        model::{Direction, Failure, Json, Outcome, Request, RunId, Status, Step, Time},
        ruling::{Facts, Look, PauseMark, Place, Refusal, Ruling, rule},
        verb::Verb,
    },
    error::Error,
    registry::Registry,
};

/// Carries out an action, or says what it would do.
///
/// # Errors
/// What the core refuses; `unknown_run`.
pub(crate) async fn apply(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    action: &Verb,
    by: audit::By<'_>,
    (dry_run, registry): (bool, &Registry),
) -> Result<(Status, Ruling), Error> {
    // Inside of a caller's transaction: a savepoint, so that a refusal leaves theirs as it was.
    let mut tx = begin_on(conn).await?;
    let mut facts = lock(schema, &mut tx, run).await?;
    if matches!(action, Verb::Cancel | Verb::Compensate) {
        facts.forks = forks(schema, &mut tx, run).await?;
    }
    let ruling = rule(&facts, action).map_err(|refusal| refusal_error(run, refusal))?;
    if matches!(action, Verb::Skip { .. } | Verb::Resolve { .. }) {
        for step in &ruling.steps {
            check_output(schema, &mut tx, registry, step).await?;
        }
    }
    if dry_run || !ruling.changes {
        tx.rollback().await?;
        return Ok((facts.status, ruling));
    }
    write(schema, &mut tx, &facts, &ruling).await?;
    let before = json!({"status": facts.status.word()});
    let mut after = ruling.noted.clone();
    after.insert("status".to_owned(), ruling.status.word().into());
    let entry = audit::Entry {
        action: action.word(),
        run: Some(run),
        subject: None,
        before: Some(before),
        after: Some(after.into()),
    };
    audit::record_done(schema, &mut tx, &entry, by).await?;
    tx.commit().await?;
    Ok((facts.status, ruling))
}

/// What an operator says that a step gave, against the step's type; where its code is elsewhere, against the schema on record.
async fn check_output(schema: &Schema, conn: &mut PgConnection, registry: &Registry, step: &Step) -> Result<(), Error> {
    let gives = matches!(step.outcome, Some(Outcome::Ok | Outcome::Skipped)) && step.direction == Direction::Forward;
    if !gives {
        return Ok(());
    }
    let output = step.output.as_ref().map_or("null", |json| json.get());
    let checked = match registry.code(&step.name) {
        Some(code) => code.check_output(output),
        None => match activities::output_schema(schema, conn, &step.name).await?.flatten() {
            Some(schema) => check_text(&schema, output),
            None => Ok(()),
        },
    };
    checked.map_err(|message| Error::InvalidOutput { activity: step.name.to_string(), message })
}

/// The runs that were forked from this one and go on, with the undoable steps whose results they have.
async fn forks(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Vec<(RunId, Vec<u32>)>, Error> {
    let query = "SELECT f.id, array_agg(s.seq ORDER BY s.seq) FROM {schema}.run f
        JOIN {schema}.step k ON k.run_id = f.id AND k.direction = 0 AND NOT k.undoable
        JOIN {schema}.step s ON s.run_id = $1 AND s.direction = 0 AND s.seq = k.seq AND s.name = k.name
            AND s.finished_at = k.finished_at AND s.undoable
        WHERE f.parent_id = $1 AND f.status NOT IN (6, 7, 8)
        GROUP BY f.id ORDER BY f.id LIMIT 100";
    let rows: Vec<(RunId, Vec<i32>)> = sqlx::query_as(schema.sql(query)).bind(run).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(fork, seqs)| (fork, seqs.into_iter().map(i32::cast_unsigned).collect())).collect())
}

pub(super) fn refusal_error(run: RunId, refusal: Refusal) -> Error {
    match refusal {
        Refusal::WrongState(sentence) => Error::WrongState(sentence),
        Refusal::PastPivot => Error::PastPivot(run),
        Refusal::Held => Error::HeldByWorker(run),
        Refusal::UnknownStep(seq) => Error::UnknownStep { run, seq },
        Refusal::Invalid(sentence) => Error::InvalidRequest(sentence),
    }
}

/// A run's facts, with its rows locked.
///
/// # Errors
/// `unknown_run`.
pub(super) async fn lock(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<Facts, Error> {
    let query = include_str!("sql/lock_run.sql");
    let row =
        sqlx::query(schema.sql(query)).bind(run).fetch_optional(&mut *conn).await?.ok_or(Error::UnknownRun(run))?;
    sqlx::query(schema.sql(include_str!("sql/lock_timer.sql"))).bind(run).execute(&mut *conn).await?;
    let query = include_str!("sql/lock_ready.sql");
    let ready: Option<Option<i32>> = sqlx::query_scalar(schema.sql(query)).bind(run).fetch_optional(&mut *conn).await?;
    let query = "SELECT {schema}.now() AS now, (SELECT at FROM {schema}.paused WHERE run_id = $1) AS paused_at,
        (SELECT cause::text FROM {schema}.compensation WHERE run_id = $1) AS cause";
    let more = sqlx::query(schema.sql(query)).bind(run).fetch_one(&mut *conn).await?;
    let steps = claim::load_steps(schema, conn, &[run]).await?.remove(&run).unwrap_or_default();
    let status = Status::from_code(row.try_get("status")?);
    let cause: Option<Option<Failure>> =
        more.try_get::<Option<String>, _>("cause")?.map(|text| parse_failure(Some(text)));
    let kind: Option<String> = row.try_get("wait_kind")?;
    let name: Option<String> = row.try_get("wait_name")?;
    Ok(Facts {
        run,
        status: status.ok_or_else(|| sqlx::Error::Decode("run.status holds a number that means nothing".into()))?,
        request: Request::from_code(row.try_get("request")?),
        failure: parse_failure(row.try_get("failure")?),
        cause: cause.map(|cause| cause.unwrap_or_else(|| Failure::new("compensated", "its cause can't be read"))),
        deadline_at: row.try_get("deadline_at")?,
        wait: kind.map(|kind| (kind, name.unwrap_or_default())),
        wait_until: row.try_get("wait_until")?,
        paused_at: more.try_get("paused_at")?,
        due: ready.is_some(),
        held: ready.flatten().is_some(),
        attention: attention::load(schema, conn, run).await?,
        steps,
        forks: Vec::new(),
        now: more.try_get("now")?,
    })
}

fn parse_failure(text: Option<String>) -> Option<Failure> {
    let json: Option<Json> = parse_json(text);
    json.and_then(|json| serde_json::from_str(json.get()).ok())
}

async fn write(schema: &Schema, conn: &mut PgConnection, facts: &Facts, ruling: &Ruling) -> Result<(), Error> {
    let run = facts.run;
    write_run(schema, conn, facts, ruling).await?;
    for step in &ruling.steps {
        write_step(schema, conn, run, step, facts.now).await?;
    }
    match ruling.place {
        Place::Keep => {}
        Place::Due => make_due(schema, conn, run).await?,
        Place::StartAt(at) => {
            let query = "INSERT INTO {schema}.timer (run_id, due_at) VALUES ($1, $2)
                ON CONFLICT (run_id) DO UPDATE SET due_at = excluded.due_at";
            sqlx::query(schema.sql(query)).bind(run).bind(at).execute(&mut *conn).await?;
        }
        Place::Away => {
            for query in
                ["DELETE FROM {schema}.timer WHERE run_id = $1", "DELETE FROM {schema}.ready WHERE run_id = $1"]
            {
                sqlx::query(schema.sql(query)).bind(run).execute(&mut *conn).await?;
            }
        }
    }
    match ruling.pause {
        PauseMark::Keep => {}
        PauseMark::Now => paused::write(schema, conn, run, facts.now).await?,
        PauseMark::Over => paused::delete(schema, conn, run).await?,
    }
    match ruling.look {
        Look::Keep => {}
        Look::Settled => attention::settle(schema, conn, run).await?,
        Look::SettledStep(seq) => attention::settle_step(schema, conn, run, seq).await?,
        Look::Acknowledged => attention::acknowledge(schema, conn, run).await?,
    }
    if ruling.status != facts.status {
        unhealthy::write(schema, conn, run, ruling.status, ruling.failure.as_ref()).await?;
    }
    Ok(())
}

/// The run's row. A worker that has the run sees by `inbox` that something has changed.
async fn write_run(schema: &Schema, conn: &mut PgConnection, facts: &Facts, ruling: &Ruling) -> Result<(), Error> {
    if ruling.status == facts.status && ruling.request == facts.request && ruling.place == Place::Keep {
        return Ok(());
    }
    let failure = ruling.failure.as_ref().and_then(|failure| serde_json::to_string(failure).ok());
    // A run that is held back waits for nothing but its resume; only a start that is to come is still to be known then.
    let query = "UPDATE {schema}.run SET status = $2, request = $3, failure = $4::json, deadline_at = $5,
        inbox = inbox + 1, finished_at = CASE WHEN $2 >= 5 THEN coalesce(finished_at, $7) END,
        wait_name = CASE WHEN $6 THEN NULL ELSE wait_name END, wait_since = CASE WHEN $6 THEN NULL ELSE wait_since END,
        wait_kind = CASE WHEN $6 THEN NULL ELSE wait_kind END, wait_until = CASE WHEN $6 THEN NULL ELSE wait_until END
        WHERE id = $1";
    let starts_later = facts.wait.as_ref().is_some_and(|(kind, _)| kind == "start") && !ruling.status.is_end();
    sqlx::query(schema.sql(query))
        .bind(facts.run)
        .bind(ruling.status.code())
        .bind(ruling.request.code())
        .bind(failure)
        .bind(ruling.deadline_at)
        .bind(ruling.place == Place::Away && !starts_later)
        .bind(facts.now)
        .execute(conn)
        .await?;
    Ok(())
}

/// What a verb may change of a step.
async fn write_step(schema: &Schema, conn: &mut PgConnection, run: RunId, step: &Step, now: Time) -> Result<(), Error> {
    let json = |json: Option<&Json>| json.map(|json| json.get().to_owned());
    let query = "UPDATE {schema}.step SET outcome = $4, ord = $5, attempts = $6, generation = $7, output = $8::json,
        error = $9::json, due_at = $10, next_attempt_at = $11, policy = $12::json,
        finished_at = CASE WHEN $4 IS NOT NULL THEN coalesce(finished_at, $13) END
        WHERE run_id = $1 AND seq = $2 AND direction = $3";
    sqlx::query(schema.sql(query))
        .bind(run)
        .bind(step.seq as i32)
        .bind(step.direction.code())
        .bind(step.outcome.map(|outcome| outcome.code()))
        .bind(step.ord.map(|ord| ord as i32))
        .bind(i16::try_from(step.attempts).unwrap_or(i16::MAX))
        .bind(i16::try_from(step.generation).unwrap_or(i16::MAX))
        .bind(json(step.output.as_ref()))
        .bind(step.error.as_ref().and_then(|error| serde_json::to_string(error).ok()))
        .bind(step.due.map(|due| due.estimate()))
        .bind(step.next_attempt_at)
        .bind(step.policy.as_deref().and_then(|policy| serde_json::to_string(policy).ok()))
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts the run into `ready`, unless a worker holds it: then that sees the changed inbox. A row that nobody holds is made
/// anew: a claim at the same moment, which began before this commit, then finds neither the old row nor the new one,
/// and reads no status of before.
pub(super) async fn make_due(schema: &Schema, conn: &mut PgConnection, run: RunId) -> Result<(), Error> {
    let query = "DELETE FROM {schema}.ready WHERE run_id = $1 AND lane IS NULL";
    sqlx::query(schema.sql(query)).bind(run).execute(&mut *conn).await?;
    let query = "INSERT INTO {schema}.ready AS q (run_id, due_at, workflow_id, fresh, queue)
        SELECT id, {schema}.now(), workflow_id, false, queue FROM {schema}.run WHERE id = $1
        ON CONFLICT (run_id) DO NOTHING";
    sqlx::query(schema.sql(query)).bind(run).execute(conn).await?;
    Ok(())
}
