//! What the planner knows of runs and steps, where autovacuum alone would leave it blind.

use sqlx::{AssertSqlSafe, PgConnection};

use super::schema::Schema;
use crate::engine::error::Error;

/// Autovacuum analyzes partitions but not the whole that they make up; without that, searches are planned blindly.
pub(super) async fn analyze_whole(schema: &Schema, conn: &mut PgConnection) -> Result<(), Error> {
    for (table, columns) in
        [("run", "id, workflow_id, status, queue, created_at, parent_id, tags"), ("step", "run_id, seq, name")]
    {
        let query =
            "SELECT coalesce(last_analyze < clock_timestamp() - interval '1 day', true) FROM pg_stat_user_tables
            WHERE schemaname = '{schema}' AND relname = $1";
        let is_due: Option<bool> = sqlx::query_scalar(schema.sql(query)).bind(table).fetch_optional(&mut *conn).await?;
        if is_due == Some(true) {
            let analyze = format!("ANALYZE {schema}.{table} ({columns})");
            sqlx::query(AssertSqlSafe(analyze)).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// Analyzes partitions that were empty when somebody last did, and are no longer: a new week's, or those of a new database. Until
/// then, sessions keep plans that read all of them for one row; autovacuum would end that after a minute or more.
pub(crate) async fn analyze_filled(schema: &Schema, conn: &mut PgConnection) -> Result<(), Error> {
    let query = "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('{schema}.run'::regclass, '{schema}.step'::regclass)
          AND c.relpages = 0 AND c.reltuples = 0 AND pg_relation_size(c.oid) > 0";
    let filled: Vec<String> = sqlx::query_scalar(schema.sql(query)).fetch_all(&mut *conn).await?;
    for table in filled {
        // Somebody who has it locked analyzes it just now, or drops it.
        sqlx::query(AssertSqlSafe(format!("ANALYZE (SKIP_LOCKED) {table}"))).execute(&mut *conn).await?;
    }
    Ok(())
}
