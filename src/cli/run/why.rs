//! `backstitch run why`: what a run waits for, since when, and what comes next, in the server's sentences, with fitting
//! commands.

use anyhow::Context;
use serde::Deserialize;

use crate::cli::{
    client::Client,
    output::{Out, tell},
    shapes::WaitingOn,
};

/// The run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    id: String,
}

#[derive(Debug, Deserialize)]
struct Why {
    id: String,
    sentences: Vec<String>,
    waiting_on: Option<WaitingOn>,
    actions: Vec<String>,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let whole = client.get(&format!("/v1/runs/{}/why", args.id), &[]).await?;
    let why: Why = serde_json::from_value(whole.clone()).context("the server's answer has an unknown form")?;
    out.show(&whole, || why.sentences.join("\n"))?;
    if !out.json() {
        for command in commands(&why) {
            tell(command);
        }
    }
    Ok(())
}

/// Suggested commands: one that ends the wait, then the verbs that its status allows.
fn commands(why: &Why) -> Vec<String> {
    let id = &why.id;
    let mut commands = Vec::new();
    if let Some(WaitingOn { kind, name: Some(name), .. }) = &why.waiting_on {
        match kind.as_str() {
            "signal" => commands.push(format!("backstitch run signal {id} {name} [--payload JSON]")),
            "queue" => commands.push(format!("backstitch worker --queue {name}")),
            _ => {}
        }
    }
    let needs_more = |verb: &str| match verb {
        "cancel" | "compensate" | "abandon" => " --reason TEXT",
        "skip" => " SEQ --output JSON --reason TEXT",
        "resolve" => " SEQ --outcome ok|failed --reason TEXT",
        "fork" => " --from SEQ --reason TEXT",
        _ => "",
    };
    commands.extend(why.actions.iter().map(|verb| format!("backstitch run {verb} {id}{}", needs_more(verb))));
    commands
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_commands_fit_what_it_waits_for_and_what_is_allowed() {
        let why = json!({"id": "r1", "sentences": [], "actions": ["retry", "cancel", "resolve", "fork"],
            "waiting_on": {"kind": "signal", "name": "paid", "since": null, "until": null}});
        let why: Why = serde_json::from_value(why).expect("an answer");
        insta::assert_snapshot!(commands(&why).join("\n"), @r"
        backstitch run signal r1 paid [--payload JSON]
        backstitch run retry r1
        backstitch run cancel r1 --reason TEXT
        backstitch run resolve r1 SEQ --outcome ok|failed --reason TEXT
        backstitch run fork r1 --from SEQ --reason TEXT
        ");
    }
}
