//! The client of a cloud provider: databases, mail domains, certificates. It honours idempotency keys, as most do.

use std::time::Duration;

use sqlx::PgPool;

/// A kind of resource that the provider has.
pub trait Kind: 'static {
    /// The provider's word for it.
    const WORD: &'static str;
    /// The step that creates one.
    const STEP: &'static str;
}

pub enum Database {}

impl Kind for Database {
    const WORD: &'static str = "database";
    const STEP: &'static str = "create_database";
}

pub enum MailDomain {}

impl Kind for MailDomain {
    const WORD: &'static str = "mail domain";
    const STEP: &'static str = "create_mail_domain";
}

pub enum Certificate {}

impl Kind for Certificate {
    const WORD: &'static str = "certificate";
    const STEP: &'static str = "issue_certificate";
}

/// The client. Its pool stands for the provider's side: it commits when it likes.
#[derive(Clone, Debug)]
pub struct Provider {
    pool: PgPool,
    /// How long the provider takes.
    delay: Duration,
}

impl Provider {
    pub const fn new(pool: PgPool, delay: Duration) -> Self {
        Self { pool, delay }
    }

    /// Creates a resource, once per key. The answer comes late: long after it has happened.
    pub async fn create(&self, key: &str, kind: &str, tenant: &str) -> Result<String, sqlx::Error> {
        self.log("create", kind, tenant).await?;
        sqlx::query("INSERT INTO provider.resource (key, kind, tenant) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(key)
            .bind(kind)
            .bind(tenant)
            .execute(&self.pool)
            .await?;
        tokio::time::sleep(self.delay).await;
        Ok(format!("{kind} of {tenant}"))
    }

    /// What was created under this key.
    pub async fn find(&self, key: &str) -> Result<Option<String>, sqlx::Error> {
        let found: Option<(String, String)> =
            sqlx::query_as("SELECT kind, tenant FROM provider.resource WHERE key = $1 AND NOT released")
                .bind(key)
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.map(|(kind, tenant)| format!("{kind} of {tenant}")))
    }

    /// Releases what a tenant has of this kind. Nothing there is fine.
    pub async fn release(&self, kind: &str, tenant: &str) -> Result<(), sqlx::Error> {
        self.log("release", kind, tenant).await?;
        sqlx::query("UPDATE provider.resource SET released = true WHERE kind = $1 AND tenant = $2")
            .bind(kind)
            .bind(tenant)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn log(&self, verb: &str, kind: &str, tenant: &str) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO provider.call (verb, kind, tenant) VALUES ($1, $2, $3)")
            .bind(verb)
            .bind(kind)
            .bind(tenant)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
