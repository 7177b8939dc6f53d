//! `unhealthy`: the runs that are on their way, or at their end, and not the good one. It makes them findable by status and error
//! without an index on `run` that names a status. Written wherever `run.status` is, in the same commit.

use sqlx::PgConnection;

use super::{rows::make_storable, schema::Schema};
use crate::engine::{
    core::model::{Failure, RunId, Status},
    error::Error,
};

/// Makes the run's row say this status, or takes it away where the status is an ordinary one. Called only in commits that are
/// rare anyway; an end as `completed` doesn't come here.
pub(super) async fn write(
    schema: &Schema,
    conn: &mut PgConnection,
    run: RunId,
    status: Status,
    failure: Option<&Failure>,
) -> Result<(), Error> {
    if matches!(status, Status::Active | Status::Waiting | Status::Completed) {
        sqlx::query(schema.sql("DELETE FROM {schema}.unhealthy WHERE run_id = $1")).bind(run).execute(conn).await?;
        return Ok(());
    }
    let query = "INSERT INTO {schema}.unhealthy (run_id, status, workflow_id, code, step_name, since)
        SELECT r.id, $2, r.workflow_id, $3,
            (SELECT s.name FROM {schema}.step s WHERE s.run_id = r.id AND s.seq = $4 AND s.direction = 0), {schema}.now()
        FROM {schema}.run r WHERE r.id = $1
        ON CONFLICT (run_id) DO UPDATE SET status = excluded.status, code = excluded.code, step_name = excluded.step_name,
            since = CASE WHEN unhealthy.status = excluded.status THEN unhealthy.since ELSE excluded.since END";
    let code = failure.map(|failure| make_storable(&failure.code));
    let seq = failure.and_then(|failure| failure.step).map(|seq| seq as i32);
    sqlx::query(schema.sql(query)).bind(run).bind(status.code()).bind(code).bind(seq).execute(conn).await?;
    Ok(())
}
