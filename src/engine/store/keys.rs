//! API keys and the sessions that were opened with them, each change of a key with its audit in the same commit.

use std::time::Duration;

use serde_json::json;
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{audit, rows::read_word, schema::Schema};
use crate::engine::{
    error::Error,
    read_models::{ApiKey, NewKey},
    role::Role,
};

/// Keys that one list shows at most.
const LISTED_AT_MOST: i64 = 1000;

/// The columns of a key that [`read_key`] reads.
macro_rules! columns {
    () => {
        "id, name, role, created_by, created_at, expires_at, revoked_at, last_used_at, CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN expires_at <= {schema}.now() THEN 'expired' ELSE 'active' END AS state"
    };
}

/// What a credential says who its bearer is.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Of the key; empty for a session.
    pub(crate) secret_hash: Vec<u8>,
    /// Of the session; empty for a key.
    pub(crate) csrf: String,
    pub(crate) revoked: bool,
    pub(crate) expired: bool,
    /// How long it is good for, where it expires.
    pub(crate) left: Option<Duration>,
    /// Its last use was written down more than a minute ago.
    pub(crate) unseen: bool,
}

/// Whether a key has ever been made. Rows of revoked keys stay, so that a server that was closed never opens again.
pub(crate) async fn any_exist(schema: &Schema, conn: &mut PgConnection) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(schema.sql("SELECT EXISTS (SELECT FROM {schema}.api_key)")).fetch_one(conn).await?)
}

/// Writes a key down, inside of the caller's transaction.
pub(crate) async fn insert(
    schema: &Schema,
    conn: &mut PgConnection,
    id: &str,
    secret_hash: &[u8],
    new: &NewKey,
    actor: &str,
) -> Result<ApiKey, Error> {
    let query = concat!(
        "INSERT INTO {schema}.api_key (id, name, role, secret_hash, created_by, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, {schema}.now(), {schema}.now() + make_interval(secs => $6)) RETURNING ",
        columns!()
    );
    let row = sqlx::query(schema.sql(query))
        .bind(id)
        .bind(&new.name)
        .bind(new.role.word())
        .bind(secret_hash)
        .bind(actor)
        .bind(new.expires_in.map(|span| span.as_secs_f64()))
        .fetch_one(&mut *conn)
        .await?;
    let key = read_key(&row)?;
    record(schema, conn, "create_key", &key, actor).await?;
    Ok(key)
}

/// All keys, the newest first.
pub(crate) async fn list(schema: &Schema, conn: &mut PgConnection) -> Result<Vec<ApiKey>, Error> {
    let query = concat!("SELECT ", columns!(), " FROM {schema}.api_key ORDER BY created_at DESC, id LIMIT $1");
    let rows = sqlx::query(schema.sql(query)).bind(LISTED_AT_MOST).fetch_all(conn).await?;
    rows.iter().map(read_key).collect()
}

/// Revokes a key and ends its sessions, inside of the caller's transaction. Once more changes nothing.
pub(crate) async fn revoke(schema: &Schema, conn: &mut PgConnection, id: &str, actor: &str) -> Result<ApiKey, Error> {
    let update = "UPDATE {schema}.api_key SET revoked_at = {schema}.now() WHERE id = $1 AND revoked_at IS NULL";
    let revoked = sqlx::query(schema.sql(update)).bind(id).execute(&mut *conn).await?.rows_affected() > 0;
    let query = concat!("SELECT ", columns!(), " FROM {schema}.api_key WHERE id = $1");
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(&mut *conn).await?;
    let key = read_key(&row.ok_or_else(|| Error::UnknownKey(id.to_owned()))?)?;
    if revoked {
        sqlx::query(schema.sql("DELETE FROM {schema}.session WHERE key_id = $1")).bind(id).execute(&mut *conn).await?;
        record(schema, conn, "revoke_key", &key, actor).await?;
    }
    Ok(key)
}

fn read_key(row: &PgRow) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: read_word(row, "role")?,
        state: read_word(row, "state")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}

/// Puts down what was done to a key, in the commit that does it.
async fn record(
    schema: &Schema,
    conn: &mut PgConnection,
    action: &str,
    key: &ApiKey,
    actor: &str,
) -> Result<(), Error> {
    let subject = format!("key {}", key.id);
    let after = json!({"name": key.name, "role": key.role, "state": key.state});
    let entry = audit::Entry { action, run: None, subject: Some(&subject), before: None, after: Some(after) };
    audit::record_done(schema, conn, &entry, audit::By { actor, reason: None, operation: None }).await
}

/// A key by its public part.
pub(crate) async fn find(schema: &Schema, conn: &mut PgConnection, id: &str) -> Result<Option<Credential>, Error> {
    let query = "SELECT id AS key_id, name, role, secret_hash, '' AS csrf, revoked_at IS NOT NULL AS revoked,
            coalesce(expires_at <= {schema}.now(), false) AS expired,
            (extract(epoch FROM expires_at - {schema}.now()) * 1000)::bigint AS left_ms,
            coalesce(last_used_at < {schema}.now() - interval '1 minute', true) AS unseen
        FROM {schema}.api_key WHERE id = $1";
    let row = sqlx::query(schema.sql(query)).bind(id).fetch_optional(conn).await?;
    Ok(row.as_ref().map(read_credential).transpose()?)
}

/// A session by the hash of its cookie. It is worth what its key is worth, and ends with it.
pub(crate) async fn find_session(
    schema: &Schema,
    conn: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<Credential>, Error> {
    let query = "SELECT k.id AS key_id, k.name, k.role, ''::bytea AS secret_hash, s.csrf,
            k.revoked_at IS NOT NULL AS revoked,
            coalesce(least(k.expires_at, s.expires_at) <= {schema}.now(), false) AS expired,
            (extract(epoch FROM least(k.expires_at, s.expires_at) - {schema}.now()) * 1000)::bigint AS left_ms,
            coalesce(k.last_used_at < {schema}.now() - interval '1 minute', true) AS unseen
        FROM {schema}.session s JOIN {schema}.api_key k ON k.id = s.key_id WHERE s.id = $1";
    let row = sqlx::query(schema.sql(query)).bind(hash).fetch_optional(conn).await?;
    Ok(row.as_ref().map(read_credential).transpose()?)
}

fn read_credential(row: &PgRow) -> Result<Credential, sqlx::Error> {
    let left_ms: Option<i64> = row.try_get("left_ms")?;
    Ok(Credential {
        key_id: row.try_get("key_id")?,
        name: row.try_get("name")?,
        role: read_word(row, "role")?,
        secret_hash: row.try_get("secret_hash")?,
        csrf: row.try_get("csrf")?,
        revoked: row.try_get("revoked")?,
        expired: row.try_get("expired")?,
        left: left_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
        unseen: row.try_get("unseen")?,
    })
}

/// Notes that a key is in use, at most once a minute.
pub(crate) async fn touch(schema: &Schema, conn: &mut PgConnection, id: &str) -> Result<(), Error> {
    let query = "UPDATE {schema}.api_key SET last_used_at = {schema}.now() WHERE id = $1
        AND coalesce(last_used_at < {schema}.now() - interval '1 minute', true)";
    sqlx::query(schema.sql(query)).bind(id).execute(conn).await?;
    Ok(())
}

/// Opens a session, and sweeps up those that are over.
pub(crate) async fn open_session(
    schema: &Schema,
    conn: &mut PgConnection,
    hash: &[u8],
    key_id: &str,
    csrf: &str,
    span: Duration,
) -> Result<(), Error> {
    sqlx::query(schema.sql("DELETE FROM {schema}.session WHERE expires_at <= {schema}.now()"))
        .execute(&mut *conn)
        .await?;
    let query = "INSERT INTO {schema}.session (id, key_id, csrf, created_at, expires_at)
        VALUES ($1, $2, $3, {schema}.now(), {schema}.now() + make_interval(secs => $4))";
    sqlx::query(schema.sql(query)).bind(hash).bind(key_id).bind(csrf).bind(span.as_secs_f64()).execute(conn).await?;
    Ok(())
}

/// Ends a session. One that is over, or never was, is none.
pub(crate) async fn close_session(schema: &Schema, conn: &mut PgConnection, hash: &[u8]) -> Result<(), Error> {
    sqlx::query(schema.sql("DELETE FROM {schema}.session WHERE id = $1")).bind(hash).execute(conn).await?;
    Ok(())
}
