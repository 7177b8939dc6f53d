//! `backstitch doctor`: checks that a database's settings allow the promises, and that its records keep the invariants.
//!
//! Changes nothing. Exit status 1 on any breach.

use anyhow::bail;
use serde::Serialize;

use super::output::Out;
#[cfg(feature = "shop")]
use super::wiring::read_vendors;
use crate::{config::DatabaseArgs, engine::Engine};
#[cfg(feature = "shop")]
use crate::{
    orders::{Error, Orders, ShopSettings, difference::Mismatch, runs::ReconcileInput},
    payments::{DEFAULT_TIMEOUT, FIRST_VENDOR, Secret, Vendor, VendorPool},
};

/// Differences that are listed.
#[cfg(feature = "shop")]
const LISTED: usize = 50;

/// Check settings, schema, and the no-limbo and ledger invariants of a database
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    #[cfg(feature = "shop")]
    #[command(flatten)]
    gateway: Gateway,
}

/// The gateway to compare the books with, where one is named.
#[cfg(feature = "shop")]
#[derive(Debug, clap::Args)]
struct Gateway {
    /// Gateway to compare the books with, order by order; without it, they are checked by themselves
    #[arg(long, value_name = "URL", env = "BACKSTITCH_GATEWAY_URL")]
    gateway_url: Option<String>,
    /// Several payment vendors in its place, as a JSON array
    #[arg(long, value_name = "JSON", env = "BACKSTITCH_VENDORS", hide_env_values = true)]
    vendors: Option<Secret>,
    /// The gateway's API key
    #[arg(
        long,
        value_name = "KEY",
        env = "BACKSTITCH_GATEWAY_KEY",
        default_value = "sk_test_simulator",
        hide_env_values = true,
        hide_default_value = true
    )]
    gateway_key: Secret,
}

#[cfg(feature = "shop")]
impl Gateway {
    /// The payments of a vendor that is not named can't be compared, which is no breach.
    fn open(&self) -> anyhow::Result<Option<VendorPool>> {
        let vendors = match (&self.vendors, &self.gateway_url) {
            (Some(text), _) => read_vendors(text)?,
            (None, Some(url)) => vec![Vendor::stripe(FIRST_VENDOR, url, self.gateway_key.clone())],
            (None, None) => return Ok(None),
        };
        Ok(Some(VendorPool::new(vendors, DEFAULT_TIMEOUT, None)?))
    }
}

/// Result of one check.
#[derive(Debug, Serialize)]
struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it passed.
    pub ok: bool,
    /// What was found.
    pub found: String,
}

impl Check {
    fn new(name: impl Into<String>, ok: bool, found: impl Into<String>) -> Self {
        Self { name: name.into(), ok, found: found.into() }
    }
}

/// Checks, prints, and fails on any breach.
///
/// # Errors
/// When the database can't be reached, or breaches were found.
pub(super) async fn run(args: Args, out: Out) -> anyhow::Result<()> {
    let checks = examine(&args).await?;
    out.show(&checks, || {
        let mark = |ok: bool| out.paint(if ok { "✓" } else { "✗" });
        checks.iter().map(|check| format!("{} {}: {}\n", mark(check.ok), check.name, check.found)).collect()
    })?;
    let breaches = checks.iter().filter(|check| !check.ok).count();
    if breaches > 0 {
        bail!("{breaches} of {} checks failed", checks.len());
    }
    Ok(())
}

/// All checks of a database; those of the records only if the schema is current.
///
/// # Errors
/// When the database can't be reached.
async fn examine(args: &Args) -> anyhow::Result<Vec<Check>> {
    let engine = &args.database.engine()?;
    let mut checks = Vec::new();
    let settings = engine.server_settings().await?;
    checks.push(Check::new("postgres 13 or newer", settings.version >= 130_000, settings.version_text.clone()));
    for (name, value) in &settings.durability {
        let ok = value != "off" && !(name == "synchronous_commit" && value == "local" && settings.has_standbys);
        checks.push(Check::new(name, ok, value));
    }
    checks.push(Check::new("encoding", settings.encoding == "UTF8", settings.encoding));
    // Not a breach: our sessions choose these themselves. Somebody else's, on a pool of their own, may not.
    let overrides = match settings.overrides.as_slice() {
        [] => "none".to_owned(),
        some => format!("{}; our sessions set their own", some.join(", ")),
    };
    checks.push(Check::new("overridden session settings", true, overrides));
    let skew = settings.clock_skew_ms;
    checks.push(Check::new("clock", skew.abs() < 5_000, format!("{skew} ms between this machine and the database")));
    let shifted = settings.shift_ms != 0;
    checks.push(Check::new(
        "clock not moved",
        !shifted,
        format!("{}.clock is shifted by {} ms", engine.schema_name(), settings.shift_ms),
    ));
    #[cfg(feature = "shop")]
    let orders = Orders::new(engine.clone(), ShopSettings::default());
    let missing = engine.missing_migrations().await?;
    #[cfg(feature = "shop")]
    let missing = [missing, orders.missing_migrations().await?].concat();
    let schema = if missing.is_empty() { "current".to_owned() } else { format!("migrations {missing:?} are missing") };
    checks.push(Check::new("schema", missing.is_empty(), schema));
    if missing.is_empty() {
        checks.push(limbo(engine).await?);
        #[cfg(feature = "shop")]
        checks.push(check_ledger(&orders).await?);
        #[cfg(feature = "shop")]
        if let Some(gateway) = args.gateway.open()? {
            checks.push(compare_with(&gateway, &orders).await?);
        }
    }
    Ok(checks)
}

#[cfg(feature = "shop")]
async fn check_ledger(orders: &Orders) -> anyhow::Result<Check> {
    let breaches = orders.book_breaches().await?;
    let found = if breaches.is_empty() { "the books add up".to_owned() } else { breaches.join("; ") };
    Ok(Check::new("ledger", breaches.is_empty(), found))
}

/// The comparison of the schedule, without its grace: nothing else may be going on.
#[cfg(feature = "shop")]
async fn compare_with(gateway: &VendorPool, orders: &Orders) -> anyhow::Result<Check> {
    let scope = ReconcileInput { grace_ms: 0, ..ReconcileInput::default() };
    let found = match orders.compare(gateway, &scope).await {
        Ok(found) => found,
        Err(error @ Error::Gateway(_)) => return Ok(Check::new("gateway", false, error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let says = match found.differences.len() {
        0 => format!("{} orders agree, {} are under way", found.agree, found.under_way),
        _ => found.differences.iter().take(LISTED).map(Mismatch::sentence).collect::<Vec<_>>().join("; "),
    };
    Ok(Check::new("gateway", found.differences.is_empty(), says))
}

async fn limbo(engine: &Engine) -> anyhow::Result<Check> {
    let lost = engine.limbo().await?;
    let list: Vec<_> = lost.iter().map(|run| format!("{}: {}", run.run, run.why)).collect();
    let found = if list.is_empty() { "no run is in limbo".to_owned() } else { list.join("; ") };
    Ok(Check::new("no limbo", list.is_empty(), found))
}
