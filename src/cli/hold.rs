//! `backstitch hold …`: hold a workflow, an activity or a queue, and release it.

use anyhow::Context;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;

use super::{
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table, tell},
};

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

/// What can be held.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// All runs of a workflow
    Workflow,
    /// An activity's attempts, verifications and undos, in whatever workflow
    Activity,
    /// All runs in a queue
    Queue,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Activity => "activity",
            Self::Queue => "queue",
        }
    }
}

/// Arguments of `add`.
#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Kind of the target
    #[arg(value_enum)]
    kind: Kind,
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
    #[arg(value_enum)]
    kind: Kind,
    /// Its name
    name: String,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Hold {
    kind: String,
    name: String,
    actor: String,
    reason: String,
    since: chrono::DateTime<chrono::Utc>,
}

#[derive(Debug, Deserialize)]
struct Holds {
    items: Vec<Hold>,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List => list(&client, out).await,
        Verb::Set(args) => {
            let path = path(args.kind, &args.name)?;
            let answer = client.send(Method::PUT, &path, Some(&json!({"reason": args.reason})), None).await?;
            let hold: Hold = serde_json::from_value(answer.clone()).context(NEW_TO_US)?;
            out.show(&answer, || render(&[hold]))?;
            if !out.json() {
                let (kind, name) = (args.kind.word(), &args.name);
                tell(format!("running attempts finish; `backstitch hold release {kind} {name}` releases it"));
            }
            Ok(())
        }
        Verb::Release(args) => {
            let path = path(args.kind, &args.name)?;
            let answer = client.send(Method::DELETE, &path, Some(&json!({"reason": args.reason})), None).await?;
            let hold: Hold = serde_json::from_value(answer.clone()).context(NEW_TO_US)?;
            out.show(&answer, || {
                format!("{} {} is released; it was held {}", hold.kind, hold.name, relative(hold.since, now()))
            })
        }
    }
}

const NEW_TO_US: &str = "the server's hold has an unknown form";

async fn list(client: &Client, out: Out) -> anyhow::Result<()> {
    let whole = client.get("/v1/holds", &[]).await?;
    if out.json() {
        return out.show(&whole, String::new);
    }
    let holds: Holds = serde_json::from_value(whole).context(NEW_TO_US)?;
    if holds.items.is_empty() {
        tell("nothing is held");
        return Ok(());
    }
    out.show(&(), || render(&holds.items))
}

fn render(holds: &[Hold]) -> String {
    let row = |hold: &Hold| {
        let since = relative(hold.since, now());
        vec![hold.kind.clone(), cut(&hold.name, 24), since, cut(&hold.actor, 14), hold.reason.clone()]
    };
    table(&["KIND", "NAME", "SINCE", "BY", "REASON"], holds.iter().map(row))
}

/// Escapes the name, which may have a slash or other characters that mean something in a path.
fn path(kind: Kind, name: &str) -> anyhow::Result<String> {
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
    fn a_name_is_one_segment_of_the_path_whatever_is_in_it() {
        assert_eq!(path(Kind::Queue, "a/b c").ok().as_deref(), Some("/v1/holds/queue/a%2Fb%20c"));
    }

    #[test]
    fn a_list_of_holds_fits_eighty_columns() {
        let hold = |name: &str, reason: &str| Hold {
            kind: "activity".to_owned(),
            name: name.to_owned(),
            actor: "cli:somebody.with.a.long.name".to_owned(),
            reason: reason.to_owned(),
            since: now(),
        };
        let text = render(&[hold("charge", "the gateway is down"), hold(&"x".repeat(60), &"word ".repeat(30))]);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    }
}
