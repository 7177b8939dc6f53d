//! `backstitch provider …`: who carries notices, and what operators want of their breakers.

use reqwest::Method;

use super::{
    answer::{show, show_list},
    client::{Client, ServerArgs, encoded},
    output::{Out, cut, table},
    vendor::{SetArgs, describe_breakers, describe_setting},
};
use crate::orders::{ProviderInfo, SetBreakers};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List providers of notices, with their breakers
    List,
    /// Give a provider no message (open), all of them (closed), or leave it to the breakers (auto)
    Set(SetArgs),
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List => {
            let answer = client.get("/v1/providers", &[]).await?;
            show_list(&answer, out, "there are no providers", render)?;
        }
        Verb::Set(SetArgs { name, state, reason }) => {
            anyhow::ensure!(!name.is_empty(), "name the provider");
            let body = serde_json::to_value(SetBreakers { state, reason: Some(reason) })?;
            let path = format!("/v1/providers/{}", encoded(&name));
            let answer = client.send(Method::PUT, &path, Some(&body), None).await?;
            show(&answer, out, |provider: &ProviderInfo| render(std::slice::from_ref(provider)))?;
        }
    }
    Ok(())
}

fn render(providers: &[ProviderInfo]) -> String {
    let row = |provider: &ProviderInfo| {
        let channels: Vec<&str> = provider.channels.iter().map(|channel| channel.word()).collect();
        vec![
            cut(&provider.name, 16),
            cut(&channels.join(", "), 12),
            provider.state.to_string(),
            describe_breakers(&provider.breakers),
            describe_setting(provider.actor.as_deref(), provider.set_at),
        ]
    };
    table(&["NAME", "CHANNELS", "STATE", "BREAKERS", "SET"], providers.iter().map(row))
}
