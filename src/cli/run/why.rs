//! `backstitch run why`: what a run waits for, since when, and what comes next, in the server's sentences, with fitting
//! commands.

use crate::{
    cli::{
        answer::show,
        client::Client,
        output::{Out, tell},
    },
    engine::{Mover, WaitKind, WaitingOn, Why},
};

/// The run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, or a beginning that no other run has
    id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let answer = client.get(&format!("/v1/runs/{}/why", client.run_id(&args.id).await?), &[]).await?;
    let why = show(&answer, out, |why: &Why| why.sentences.join("\n"))?;
    why.iter().flat_map(suggest_commands).for_each(tell);
    Ok(())
}

/// Suggested commands: one that ends the wait, then the verbs that its status allows.
fn suggest_commands(why: &Why) -> Vec<String> {
    let id = &why.id;
    let mut commands = Vec::new();
    if let Some(WaitingOn { kind, name: Some(name), .. }) = &why.waiting_on {
        match kind {
            WaitKind::Signal if why.who == Mover::Caller => {
                commands.push(format!("backstitch run signal {id} {name} [--payload JSON]"))
            }
            WaitKind::Queue => commands.push(format!("backstitch worker --queue {name}")),
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
    fn the_commands_fit_the_wait_and_the_rights() {
        let why = json!({"id": uuid::Uuid::nil(), "workflow": "w", "status": "waiting", "sentences": [], "who": "caller", "attention": [], "actions": ["retry", "cancel", "resolve", "fork"],
            "waiting_on": {"kind": "signal", "name": "paid", "since": null, "until": null}});
        let mut why: Why = serde_json::from_value(why).expect("an answer");
        let signals = |why: &Why| suggest_commands(why).iter().filter(|command| command.contains(" signal ")).count();
        why.who = Mover::Service;
        assert_eq!(signals(&why), 0, "callers may not send it");
        why.who = Mover::Caller;
        insta::assert_snapshot!(suggest_commands(&why).join("\n"), @r"
        backstitch run signal 00000000-0000-0000-0000-000000000000 paid [--payload JSON]
        backstitch run retry 00000000-0000-0000-0000-000000000000
        backstitch run cancel 00000000-0000-0000-0000-000000000000 --reason TEXT
        backstitch run resolve 00000000-0000-0000-0000-000000000000 SEQ --outcome ok|failed --reason TEXT
        backstitch run fork 00000000-0000-0000-0000-000000000000 --from SEQ --reason TEXT
        ");
    }
}
