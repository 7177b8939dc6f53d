//! `backstitch vendor …`: the payment vendors, and what operators want of their breakers.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use reqwest::Method;

use super::{
    answer::{show, show_list},
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table},
};
use crate::{
    engine::{BreakerMode, BreakerStatus, Time},
    orders::{SetBreakers, VendorInfo},
};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List payment vendors, with their breakers
    List,
    /// Hold a vendor's calls back (open), let all through (closed), or leave it to the breakers (auto)
    Set(SetArgs),
}

/// Arguments of `set`, of vendors and of providers of notices.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Its name
    pub(super) name: String,
    /// What its breakers are to do
    #[arg(value_parser = parse_mode())]
    pub(super) state: BreakerMode,
    /// Reason, shown with it and kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

fn parse_mode() -> impl TypedValueParser<Value = BreakerMode> {
    PossibleValuesParser::new(BreakerMode::WORDS).try_map(|word| word.parse::<BreakerMode>())
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List => {
            let answer = client.get("/v1/vendors", &[]).await?;
            show_list(&answer, out, "there are no vendors", render)?;
        }
        Verb::Set(args) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            anyhow::ensure!(
                !args.name.is_empty() && args.name.chars().all(plain),
                "{:?} is no vendor's name",
                args.name
            );
            let body = serde_json::to_value(SetBreakers { state: args.state, reason: Some(args.reason) })?;
            let path = format!("/v1/vendors/{}", args.name);
            let answer = client.send(Method::PUT, &path, Some(&body), None).await?;
            show(&answer, out, |vendor: &VendorInfo| render(std::slice::from_ref(vendor)))?;
        }
    }
    Ok(())
}

/// Breakers that are not closed.
pub(super) fn describe_breakers(breakers: &[BreakerStatus]) -> String {
    let open = breakers.iter().filter(|breaker| breaker.state.severity() > 0);
    let open: Vec<String> = open.map(|breaker| format!("{} {}", breaker.operation, breaker.state)).collect();
    if open.is_empty() { "closed".to_owned() } else { cut(&open.join(", "), 24) }
}

/// Who has set them, and when.
pub(super) fn describe_setting(actor: Option<&str>, at: Option<Time>) -> String {
    let set = at.map(|at| format!("{} by {}", relative(at, now()), actor.unwrap_or_default()));
    cut(&set.unwrap_or_default(), 20)
}

fn render(vendors: &[VendorInfo]) -> String {
    let row = |vendor: &VendorInfo| {
        vec![
            cut(&vendor.name, 16),
            vendor.weight.to_string(),
            vendor.state.to_string(),
            describe_breakers(&vendor.breakers),
            describe_setting(vendor.actor.as_deref(), vendor.set_at),
        ]
    };
    table(&["NAME", "WEIGHT", "STATE", "BREAKERS", "SET"], vendors.iter().map(row))
}
