//! `backstitch fleet`: queues, workers and workflows.

use anyhow::Context;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    client::{Client, ServerArgs},
    output::{Out, cut, now, relative, table},
    shapes::{List, Time},
};

/// One table; without it, all of them.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Due and running runs of each queue, and its workers
    Queues,
    /// Workers with a heartbeat in the last day
    Workers,
    /// All workflows ever registered, and their workers
    Workflows,
}

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    due: i64,
    held: i64,
    oldest_due_at: Option<Time>,
    workers: Vec<String>,
    hold: Option<Hold>,
}

#[derive(Debug, Deserialize)]
struct Hold {
    actor: String,
}

#[derive(Debug, Deserialize)]
struct Worker {
    name: String,
    alive: bool,
    queues: Vec<String>,
    slots: i32,
    holding: i64,
    started_at: Time,
    last_beat: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Workflow {
    name: String,
    versions: Vec<Version>,
    hold: Option<Hold>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: i32,
    registered_at: Time,
    workers: Vec<String>,
}

pub(super) async fn run(verb: Option<Verb>, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    let (mut json, mut text) = (serde_json::Map::new(), Vec::new());
    let wants = |table: &str| verb.is_none_or(|verb| format!("{verb:?}").eq_ignore_ascii_case(table));
    for name in ["queues", "workers", "workflows"].into_iter().filter(|name| wants(name)) {
        let whole = client.get(&format!("/v1/{name}"), &[]).await?;
        json.insert(name.to_owned(), whole.clone());
        text.push(match name {
            "queues" => queues(&read(whole)?, now()),
            "workers" => workers(&read(whole)?, now()),
            _ => workflows(&read(whole)?, now()),
        });
    }
    // One table is a list; all of them are an object of lists.
    let whole = if verb.is_some() { json.into_iter().next().map(|(_, list)| list) } else { Some(json!(json)) };
    out.show(&whole, || text.join("\n\n"))
}

fn read<T: DeserializeOwned>(whole: serde_json::Value) -> anyhow::Result<Vec<T>> {
    let page: List<T> = serde_json::from_value(whole).context("the server's list has an unknown form")?;
    Ok(page.items)
}

fn age(at: Time, now: Time) -> String {
    relative(at, now).trim_end_matches(" ago").to_owned()
}

/// A few names, then how many more.
fn names(all: &[String]) -> String {
    match all {
        [] => "none".to_owned(),
        [one] => cut(one, 20),
        [one, rest @ ..] => format!("{} +{}", cut(one, 16), rest.len()),
    }
}

fn queues(queues: &[Queue], now: Time) -> String {
    let row = |queue: &Queue| {
        vec![
            cut(&queue.name, 20),
            queue.due.to_string(),
            queue.held.to_string(),
            queue.oldest_due_at.map_or_else(|| "-".to_owned(), |at| age(at, now)),
            names(&queue.workers),
            queue.hold.as_ref().map_or_else(String::new, |hold| cut(&hold.actor, 12)),
        ]
    };
    table(&["QUEUE", "DUE", "HELD", "OLDEST", "WORKERS", "HELD BY"], queues.iter().map(row))
}

fn workers(workers: &[Worker], now: Time) -> String {
    let row = |worker: &Worker| {
        vec![
            cut(&worker.name, 22),
            if worker.alive { "alive" } else { "gone" }.to_owned(),
            format!("{}/{}", worker.holding, worker.slots),
            age(worker.started_at, now),
            worker.last_beat.map_or_else(|| "-".to_owned(), |at| age(at, now)),
            cut(&worker.queues.join(", "), 18),
        ]
    };
    table(&["WORKER", "STATE", "HOLDS", "UP", "HEARD OF", "QUEUES"], workers.iter().map(row))
}

fn workflows(workflows: &[Workflow], now: Time) -> String {
    let rows = workflows.iter().flat_map(|workflow| {
        workflow.versions.iter().map(move |version| {
            let hold = workflow.hold.as_ref().map(|hold| cut(&hold.actor, 12));
            vec![
                cut(&workflow.name, 20),
                version.version.to_string(),
                age(version.registered_at, now),
                names(&version.workers),
                hold.unwrap_or_default(),
            ]
        })
    });
    table(&["WORKFLOW", "VERSION", "KNOWN FOR", "WORKERS", "HELD BY"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::WIDTH;

    #[test]
    fn tables_fit_eighty_columns() {
        let name = "a-host-with-a-long-name.example.org:123456";
        let queue = json!({"name": name, "due": 123_456, "held": 500, "oldest_due_at": "2026-01-01T00:00:00Z",
            "workers": [name, name], "hold": {"actor": name}});
        let worker = json!({"name": name, "alive": true, "queues": ["default", "payments", "mail"], "slots": 500,
            "holding": 12, "started_at": "2026-01-01T00:00:00Z", "last_beat": "2026-01-01T00:59:59Z"});
        let workflow = json!({"name": name, "hold": {"actor": name},
            "versions": [{"version": 12, "registered_at": "2026-01-01T00:00:00Z", "workers": [name]}]});
        let now = "2026-01-01T01:00:00Z".parse().expect("a time");
        let text = [
            queues(&read(json!({"items": [queue], "next_cursor": null})).expect("queues"), now),
            workers(&read(json!({"items": [worker], "next_cursor": null})).expect("workers"), now),
            workflows(&read(json!({"items": [workflow], "next_cursor": null})).expect("workflows"), now),
        ]
        .join("\n\n");
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        insta::assert_snapshot!(text, @r"
        QUEUE                 DUE     HELD  OLDEST  WORKERS              HELD BY
        a-host-with-a-long-…  123456  500   1h00m   a-host-with-a-l… +1  a-host-with…

        WORKER                  STATE  HOLDS   UP     HEARD OF  QUEUES
        a-host-with-a-long-na…  alive  12/500  1h00m  1.0s      default, payments…

        WORKFLOW              VERSION  KNOWN FOR  WORKERS               HELD BY
        a-host-with-a-long-…  12       1h00m      a-host-with-a-long-…  a-host-with…
        ");
    }
}
