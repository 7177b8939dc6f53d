//! `backstitch hold …`: hold a workflow, an activity or a queue, and release it.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use reqwest::{Method, Url};
use serde_json::json;

use super::{
    answer::{show, show_list},
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table, tell},
};
use crate::engine::{Hold, HoldKind};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List holds
    List,
    /// Hold a workflow, activity or queue: nothing new starts, running attempts finish
    Set(SetArgs),
    /// Release a hold
    Release(ReleaseArgs),
}

/// Parses what can be held.
fn parse_kind() -> impl TypedValueParser<Value = HoldKind> {
    let explain = |kind: &HoldKind| match kind {
        HoldKind::Workflow => "All runs of a workflow",
        HoldKind::Activity => "An activity's attempts, verifications and undos, in whatever workflow",
        HoldKind::Queue => "All runs in a queue",
    };
    let values = HoldKind::ALL.iter().map(|kind| PossibleValue::new(kind.word()).help(explain(kind)));
    PossibleValuesParser::new(values).try_map(|word| word.parse::<HoldKind>())
}

/// Arguments of `set`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Kind of the target
    #[arg(value_parser = parse_kind())]
    kind: HoldKind,
    /// Its name
    name: String,
    /// Reason, shown with the hold and kept in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Arguments of `release`.
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    /// Kind of the target
    #[arg(value_parser = parse_kind())]
    kind: HoldKind,
    /// Its name
    name: String,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List => {
            let answer = client.get("/v1/holds", &[]).await?;
            show_list(&answer, out, "nothing is held", render)?;
            Ok(())
        }
        Verb::Set(args) => {
            let path = path(args.kind, &args.name)?;
            let answer = client.send(Method::PUT, &path, Some(&json!({"reason": args.reason})), None).await?;
            let shown = show(&answer, out, |hold: &Hold| render(std::slice::from_ref(hold)))?;
            if let Some(Hold { kind, name, note, .. }) = shown {
                note.into_iter().for_each(|note| tell(format!("note: {note}")));
                tell(format!("running attempts finish; `backstitch hold release {kind} {name}` releases it"));
            }
            Ok(())
        }
        Verb::Release(args) => {
            let path = path(args.kind, &args.name)?;
            let answer = client.send(Method::DELETE, &path, Some(&json!({"reason": args.reason})), None).await?;
            let describe = |hold: &Hold| {
                format!("{} {} is released; it was held {}", hold.kind, hold.name, relative(hold.since, now()))
            };
            show(&answer, out, describe)?;
            Ok(())
        }
    }
}

fn render(holds: &[Hold]) -> String {
    let row = |hold: &Hold| {
        let since = relative(hold.since, now());
        vec![hold.kind.to_string(), cut(&hold.name, 24), since, cut(&hold.actor, 14), hold.reason.clone()]
    };
    table(&["KIND", "NAME", "SINCE", "BY", "REASON"], holds.iter().map(row))
}

/// Escapes the name, which may have a slash or other characters that mean something in a path.
fn path(kind: HoldKind, name: &str) -> anyhow::Result<String> {
    let mut url = Url::parse("http://server/v1/holds")?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend([kind.word(), name]);
    }
    Ok(url.path().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::WIDTH;

    #[test]
    fn a_name_is_one_segment_of_the_path() {
        assert_eq!(path(HoldKind::Queue, "a/b c").ok().as_deref(), Some("/v1/holds/queue/a%2Fb%20c"));
    }

    #[test]
    fn a_list_of_holds_fits_eighty_columns() {
        let hold = |name: &str, reason: &str| Hold {
            kind: HoldKind::Activity,
            name: name.to_owned(),
            actor: "cli:somebody.with.a.long.name".to_owned(),
            reason: reason.to_owned(),
            since: now(),
            note: None,
        };
        let text = render(&[hold("charge", "the gateway is down"), hold(&"x".repeat(60), &"word ".repeat(30))]);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    }
}
