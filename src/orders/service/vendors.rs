//! The payment vendors, with their breakers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Orders;
use crate::{
    engine::{BreakerMode, BreakerScope, BreakerStatus, Operator, Time},
    orders::{
        error::Error,
        gate::{BreakerGate, scope},
    },
    payments::{FIRST_VENDOR, Vendor, VendorKind, VendorPool},
};

/// A payment vendor, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct VendorInfo {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: VendorKind,
    /// How often it is the first choice, relative to the others.
    pub weight: u32,
    /// What operators want of its breakers.
    pub state: BreakerMode,
    /// Who said so last.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub set_at: Option<Time>,
    /// The breakers of its operations that have had a failure.
    pub breakers: Vec<BreakerStatus>,
}

/// What an operator wants of a vendor's or provider's breakers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetBreakers {
    /// `auto` leaves it to them; `open` holds all calls back; `closed` lets all through.
    pub state: BreakerMode,
    /// Why: needed.
    #[cfg_attr(feature = "server", schema(max_length = 2000))]
    #[serde(default)]
    pub reason: Option<String>,
}

/// The vendor of a shop that names none.
pub(super) fn first_vendor() -> Vendor {
    Vendor::stripe(FIRST_VENDOR, "", "")
}

impl Orders {
    /// Sets the vendors that orders may be paid at, and the engine's breakers before their calls.
    pub fn with_vendors(mut self, pool: &VendorPool) -> Self {
        pool.guard(Arc::new(BreakerGate(self.engine.clone())));
        self.vendors = pool.vendors().cloned().collect();
        self
    }

    pub(super) fn vendor(&self, name: &str) -> Result<&Vendor, Error> {
        let found = self.vendors.iter().find(|vendor| vendor.name == name);
        found.ok_or_else(|| Error::UnknownVendor(name.to_owned()))
    }

    /// The vendors, in their order.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn vendors(&self) -> Result<Vec<VendorInfo>, Error> {
        let scopes = self.engine.breakers().await?;
        let info = |vendor: &Vendor| describe(vendor, scopes.iter().find(|known| known.scope == scope(&vendor.name)));
        Ok(self.vendors.iter().map(info).collect())
    }

    /// Says what operators want of a vendor.
    ///
    /// # Errors
    /// `unknown_vendor`, `reason_required`, `invalid_request`.
    pub async fn set_vendor(&self, name: &str, set: &SetBreakers) -> Result<VendorInfo, Error> {
        let vendor = self.vendor(name)?;
        let by = Operator::new(&*self.actor, set.reason.as_deref(), false)?;
        self.engine.set_breaker(&scope(name), set.state, &by).await?;
        let scopes = self.engine.breakers().await.map_err(|error| Error::from(error).after_write())?;
        Ok(describe(vendor, scopes.iter().find(|known| known.scope == scope(name))))
    }
}

fn describe(vendor: &Vendor, known: Option<&BreakerScope>) -> VendorInfo {
    VendorInfo {
        name: vendor.name.clone(),
        kind: vendor.kind,
        weight: vendor.weight,
        state: known.map_or(BreakerMode::Auto, |known| known.mode),
        actor: known.and_then(|known| known.actor.clone()),
        reason: known.and_then(|known| known.reason.clone()),
        set_at: known.and_then(|known| known.set_at),
        breakers: known.map(|known| known.operations.clone()).unwrap_or_default(),
    }
}
