//! API keys and sessions: the part of [`Engine`] that authenticates. What an identity may do is the caller's to check.
//!
//! A credential is looked up once and believed for [`VERDICT_FOR`](crate::engine::VERDICT_FOR); an unknown id costs the
//! same work as a wrong secret.

use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::engine::{
    api::engine::Engine,
    check::check_text,
    credentials::{self, Identity, Token, Verdict, hash},
    error::Error,
    read_models::{ApiKey, CreatedKey, NewKey},
    store::keys::{self, Credential},
};

/// How long a session lasts.
pub const SESSION_FOR: Duration = Duration::from_secs(12 * 60 * 60);

const LONGEST_NAME: usize = 100;
const SHORTEST_LIFE: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

const NO_SUCH_KEY: &str = "there is no such API key";
const NO_SESSION: &str = "the session is over: sign in again";

/// A session that was just opened.
#[derive(Clone)]
pub struct OpenedSession {
    /// What the browser is to send.
    pub cookie: String,
    /// Who signed in.
    pub identity: Identity,
}

impl std::fmt::Debug for OpenedSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedSession").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Engine {
    /// Makes a key. Its token is in the answer and nowhere else: only a hash of it is kept.
    ///
    /// # Errors
    /// `invalid_request` for a name or life that is out of range.
    pub async fn create_key(&self, new: &NewKey, actor: &str) -> Result<CreatedKey, Error> {
        let length = new.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length)
            || new.name.chars().any(char::is_control)
            || new.name.trim() != new.name
        {
            let message = format!("a key's name has 1 to {LONGEST_NAME} visible characters, with no space around them");
            return Err(Error::InvalidRequest(message));
        }
        if new.expires_in.is_some_and(|span| !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&span)) {
            return Err(Error::InvalidRequest("a key lives for a minute to ten years".to_owned()));
        }
        let (id, secret) = credentials::new_token();
        let mut tx = self.begin().await?;
        let key = keys::insert(self.schema(), &mut tx, &id, &hash(&secret), new, actor).await?;
        tx.commit().await?;
        self.memory().keys_seen(true, Instant::now());
        Ok(CreatedKey { key, token: credentials::token(&id, &secret) })
    }

    /// All keys, the newest first, a thousand at most.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        keys::list(self.schema(), &mut *self.acquire().await?).await
    }

    /// Revokes a key and ends its sessions: here at once, in other processes within five seconds. Safe to repeat.
    ///
    /// # Errors
    /// `unknown_key`.
    pub async fn revoke_key(&self, id: &str, actor: &str) -> Result<ApiKey, Error> {
        check_text("id", id, LONGEST_NAME).map_err(|_| Error::UnknownKey("this name".to_owned()))?;
        let mut tx = self.begin().await?;
        let key = keys::revoke(self.schema(), &mut tx, id, actor).await?;
        tx.commit().await?;
        self.memory().forget();
        Ok(key)
    }

    /// Whether a key has ever been made: from then on, for good, every request needs one.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn keys_exist(&self) -> Result<bool, Error> {
        if let Some(known) = self.memory().keys_exist(Instant::now()) {
            return Ok(known);
        }
        let exist = keys::any_exist(self.schema(), &mut *self.acquire().await?).await?;
        self.memory().keys_seen(exist, Instant::now());
        Ok(exist)
    }

    /// Who bears this token.
    ///
    /// # Errors
    /// `unauthorized` with the reason; or the database's, when it can't tell.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Error> {
        let Some(parts) = Token::parse(token) else {
            return Err(Error::Unauthorized("this is no API key: one looks like bsk_<id>_<secret>".to_owned()));
        };
        let digest = credentials::digest("key", token);
        if let Some(verdict) = self.memory().recall(&digest, Instant::now()) {
            return verdict.map_err(Error::Unauthorized);
        }
        let found = keys::find(self.schema(), &mut *self.acquire().await?, parts.id).await?;
        // The same work where there is no such id, so that timing does not reveal which ids exist.
        let (given, nothing) = (hash(parts.secret), [0; 32]);
        let kept = found.as_ref().map_or(nothing.as_slice(), |key| key.secret_hash.as_slice());
        let right = bool::from(given.ct_eq(kept));
        self.judge(digest, found.filter(|_| right), NO_SUCH_KEY).await
    }

    /// Opens a session for the bearer of a token.
    ///
    /// # Errors
    /// As [`Engine::authenticate`].
    pub async fn sign_in(&self, token: &str) -> Result<OpenedSession, Error> {
        let identity = self.authenticate(token).await?;
        let (cookie, csrf) = (hex::encode(credentials::random()), hex::encode(credentials::random()));
        let mut conn = self.acquire().await?;
        keys::open_session(self.schema(), &mut conn, &hash(&cookie), &identity.key_id, &csrf, SESSION_FOR).await?;
        Ok(OpenedSession { cookie, identity: Identity { csrf, ..identity } })
    }

    /// Whose session this is.
    ///
    /// # Errors
    /// As [`Engine::authenticate`].
    pub async fn session(&self, cookie: &str) -> Result<Identity, Error> {
        let digest = credentials::digest("session", cookie);
        if let Some(verdict) = self.memory().recall(&digest, Instant::now()) {
            return verdict.map_err(Error::Unauthorized);
        }
        let found = keys::find_session(self.schema(), &mut *self.acquire().await?, &hash(cookie)).await?;
        self.judge(digest, found, NO_SESSION).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn sign_out(&self, cookie: &str) -> Result<(), Error> {
        keys::close_session(self.schema(), &mut *self.acquire().await?, &hash(cookie)).await?;
        self.memory().forget();
        Ok(())
    }

    /// Decides on a credential whose secret was right, and remembers what was decided.
    async fn judge(&self, digest: [u8; 32], found: Option<Credential>, none: &str) -> Result<Identity, Error> {
        let left = found.as_ref().and_then(|found| found.left);
        if let Some(key) = found.as_ref().filter(|key| key.unseen && !key.revoked && !key.expired) {
            // Who may come in is not to hang on a note of when.
            if let Err(error) = keys::touch(self.schema(), &mut *self.acquire().await?, &key.key_id).await {
                tracing::warn!(%error, key = key.key_id, "the last use of a key could not be noted");
            }
        }
        let verdict: Verdict = match found {
            None => Err(none.to_owned()),
            Some(key) if key.revoked => Err(format!("the key `{}` was revoked", key.name)),
            Some(key) if key.expired => Err(format!("the key `{}`, or the session, has expired", key.name)),
            Some(Credential { key_id, name, role, csrf, .. }) => Ok(Identity { key_id, name, role, csrf }),
        };
        let left = left.filter(|_| verdict.is_ok());
        self.memory().remember(digest, &verdict, left, Instant::now());
        verdict.map_err(Error::Unauthorized)
    }
}
