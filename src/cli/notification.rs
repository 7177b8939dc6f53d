//! `backstitch notification …`: what people were told of orders: list it, and send it again.

use reqwest::Method;
use serde_json::Value;

use super::{
    answer::{show, show_list},
    args::SliceArgs,
    client::{Client, ServerArgs},
    output::{Out, WIDTH, age, cut, now, table},
};
use crate::{
    engine::{RunId, Time},
    orders::{Notification, NotificationFilter, NotificationState, state::Word},
};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List notifications, the latest first
    List(ListArgs),
    /// Send a notification again, with the same id
    Resend(ResendArgs),
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only those of this order
    #[arg(long, value_name = "ID")]
    order: Option<RunId>,
    /// Only those of this state: pending, sent, failed or parked
    #[arg(long, value_parser = parse_state)]
    state: Option<NotificationState>,
    #[command(flatten)]
    slice: SliceArgs,
}

/// Arguments of `resend`.
#[derive(Debug, clap::Args)]
pub(super) struct ResendArgs {
    /// Its id, as `notification list` shows it
    id: RunId,
}

fn parse_state(text: &str) -> Result<NotificationState, String> {
    NotificationState::from_word(text).ok_or_else(|| "pending, sent, failed or parked".to_owned())
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    match verb {
        Verb::List(ListArgs { order, state, slice }) => {
            let (limit, cursor) = (Some(slice.limit), slice.cursor);
            let filter = NotificationFilter { order_id: order, state, limit, cursor };
            let answer = client.find("/v1/notifications", &filter).await?;
            show_list(&answer, out, "no such notifications", |all| render(all, now()))?;
        }
        Verb::Resend(ResendArgs { id }) => {
            let path = format!("/v1/notifications/{id}/resend");
            let answer: Value = client.send(Method::POST, &path, None, None).await?;
            show(&answer, out, |one| render(std::slice::from_ref(one), now()))?;
        }
    }
    Ok(())
}

/// One line each, followed by why it is not sent.
fn render(all: &[Notification], now: Time) -> String {
    let row = |one: &Notification| {
        let what = cut(&format!("{} {}", one.channel.word(), one.about), 22);
        vec![age(one.created_at, now), one.id.to_string(), what, one.state.word().to_owned()]
    };
    let text = table(&["AGE", "ID", "WHAT", ""], all.iter().map(row));
    let mut lines = text.lines();
    let mut shown: Vec<String> = lines.next().map(str::to_owned).into_iter().collect();
    for (line, one) in lines.zip(all) {
        shown.push(line.to_owned());
        let why = one.last_error.as_ref().map(|error| cut(&error.replace('\n', " "), usize::from(WIDTH) - 7));
        shown.extend(why.map(|why| format!("       {why}")));
    }
    shown.join("\n")
}
