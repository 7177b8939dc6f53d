//! `exceptional`: the runs that are on their way, or at their end, and not the good one. It makes them findable by status and error
//! without an index on `run` that names a status. Written wherever `run.status` is, in the same commit.

use sqlx::PgConnection;

use crate::engine::{
    core::model::{Failure, RunId, Status},
    error::Error,
};

/// Makes the run's row say this status, or takes it away where the status is an ordinary one. Called only in commits that are
/// rare anyway; an end as `completed` doesn't come here.
pub(super) async fn write(
    conn: &mut PgConnection,
    run: RunId,
    status: Status,
    failure: Option<&Failure>,
) -> Result<(), Error> {
    if matches!(status, Status::Active | Status::Waiting | Status::Completed) {
        sqlx::query("DELETE FROM backstitch.exceptional WHERE run_id = $1").bind(run).execute(conn).await?;
        return Ok(());
    }
    let query = "INSERT INTO backstitch.exceptional (run_id, status, workflow_id, code, since)
        SELECT r.id, $2, r.workflow_id, $3, backstitch.now() FROM backstitch.run r WHERE r.id = $1
        ON CONFLICT (run_id) DO UPDATE SET status = excluded.status, code = excluded.code,
            since = CASE WHEN exceptional.status = excluded.status THEN exceptional.since ELSE excluded.since END";
    let code = failure.map(|failure| failure.code.as_str());
    sqlx::query(query).bind(run).bind(status.code()).bind(code).execute(conn).await?;
    Ok(())
}
