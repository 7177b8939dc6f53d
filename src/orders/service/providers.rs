//! The providers of notices, with their breakers.

use serde::{Deserialize, Serialize};

use super::{Orders, SetBreakers};
use crate::{
    engine::{BreakerMode, BreakerScope, BreakerStatus, Operator, Time},
    notices::Channel,
    orders::{
        error::Error,
        gate::{NOTICE_PREFIX, provider_of, provider_scope},
    },
};

/// A provider of notices, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ProviderInfo {
    /// Its name.
    pub name: String,
    /// The channels that it carries, by the settings of this server; none for one that only others know, or that was.
    pub channels: Vec<Channel>,
    /// What operators want of its breakers.
    pub state: BreakerMode,
    /// Who said so last.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub set_at: Option<Time>,
    /// The breakers of its channels that have had a failure.
    pub breakers: Vec<BreakerStatus>,
}

impl Orders {
    /// The providers of this process's settings, in the order in which they are asked; then others that have had a failure or
    /// were set by an operator.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn providers(&self) -> Result<Vec<ProviderInfo>, Error> {
        let scopes = self.notice_breakers().await?;
        let configured = self.notices.post.providers();
        let others = scopes.iter().map(|known| provider_of(&known.scope));
        let others = others.filter(|name| !configured.iter().any(|(known, _)| known == name));
        let others: Vec<_> = others.map(|name| (name.to_owned(), Vec::new())).collect();
        Ok(configured.into_iter().chain(others).map(|(name, channels)| describe(name, channels, &scopes)).collect())
    }

    /// Says what operators want of a provider.
    ///
    /// # Errors
    /// `unknown_provider`, `reason_required`, `invalid_request`.
    pub async fn set_provider(&self, name: &str, set: &SetBreakers) -> Result<ProviderInfo, Error> {
        let find = |all: Vec<ProviderInfo>| all.into_iter().find(|known| known.name == name);
        let unknown = || Error::UnknownProvider(name.to_owned());
        find(self.providers().await?).ok_or_else(unknown)?;
        let by = Operator::new(&*self.actor, set.reason.as_deref(), false)?;
        self.engine.set_breaker(&provider_scope(name), set.state, &by).await?;
        find(self.providers().await.map_err(Error::after_write)?).ok_or_else(unknown)
    }

    /// The breakers of providers that have had a failure, or were set by an operator.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn notice_breakers(&self) -> Result<Vec<BreakerScope>, Error> {
        let mut scopes = self.engine.breakers().await?;
        scopes.retain(|known| known.scope.starts_with(NOTICE_PREFIX));
        Ok(scopes)
    }
}

fn describe(name: String, channels: Vec<Channel>, scopes: &[BreakerScope]) -> ProviderInfo {
    let known = scopes.iter().find(|known| provider_of(&known.scope) == name);
    ProviderInfo {
        name,
        channels,
        state: known.map_or(BreakerMode::Auto, |known| known.mode),
        actor: known.and_then(|known| known.actor.clone()),
        reason: known.and_then(|known| known.reason.clone()),
        set_at: known.and_then(|known| known.set_at),
        breakers: known.map(|known| known.operations.clone()).unwrap_or_default(),
    }
}
