//! `backstitch fleet`: queues, workers and workflows.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    answer::read,
    client::{Client, ServerArgs},
    output::{Out, age, cut, now, table},
};
use crate::engine::{QueueInfo, Slice, Time, WorkerInfo, WorkflowInfo};

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

pub(super) async fn run(verb: Option<Verb>, server: &ServerArgs, out: Out) -> anyhow::Result<()> {
    let client = Client::new(server)?;
    let (mut answers, mut text) = (Map::new(), Vec::new());
    let wants = |table: &str| verb.is_none_or(|verb| format!("{verb:?}").eq_ignore_ascii_case(table));
    for name in ["queues", "workers", "workflows"].into_iter().filter(|name| wants(name)) {
        let answer = client.get(&format!("/v1/{name}"), &[]).await?;
        if !out.json() {
            text.push(match name {
                "queues" => render_queues(&items(&answer)?, now()),
                "workers" => render_workers(&items(&answer)?, now()),
                _ => render_workflows(&items(&answer)?, now()),
            });
        }
        answers.insert(name.to_owned(), answer);
    }
    // One table is a list; all of them are an object of lists.
    let whole = if verb.is_some() { answers.into_iter().next().map(|(_, list)| list) } else { Some(answers.into()) };
    out.show(&whole, || text.join("\n\n"))
}

fn items<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<Vec<T>> {
    Ok(read::<Slice<T>>(answer)?.items)
}

/// A few names, then how many more.
fn names(all: &[String]) -> String {
    match all {
        [] => "none".to_owned(),
        [one] => cut(one, 20),
        [one, rest @ ..] => format!("{} +{}", cut(one, 16), rest.len()),
    }
}

fn render_queues(queues: &[QueueInfo], now: Time) -> String {
    let row = |queue: &QueueInfo| {
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

fn render_workers(workers: &[WorkerInfo], now: Time) -> String {
    let row = |worker: &WorkerInfo| {
        vec![
            cut(&worker.name, 22),
            if worker.alive { "alive" } else { "gone" }.to_owned(),
            format!("{}/{}", worker.active_runs, worker.slots),
            age(worker.started_at, now),
            worker.last_beat.map_or_else(|| "-".to_owned(), |at| age(at, now)),
            cut(&worker.queues.join(", "), 18),
        ]
    };
    table(&["WORKER", "STATE", "HOLDS", "UP", "HEARD OF", "QUEUES"], workers.iter().map(row))
}

fn render_workflows(workflows: &[WorkflowInfo], now: Time) -> String {
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
    use serde_json::json;

    use super::*;
    use crate::{cli::output::WIDTH, engine::samples};

    #[test]
    fn tables_fit_eighty_columns() {
        let name = "a-host-with-a-long-name.example.org:123456";
        let hold: Value = samples::with(samples::hold_note_json(), json!({"actor": name}));
        let queue = json!({"name": name, "due": 123_456, "held": 500, "workers": [name, name], "hold": hold});
        let worker =
            json!({"name": name, "queues": ["default", "payments", "mail"], "last_beat": "2026-01-01T00:59:59Z"});
        let versions = json!([{"version": 12, "registered_at": "2026-01-01T00:00:00Z", "workers": [name]}]);
        let workflow = json!({"name": name, "hold": hold, "versions": versions});
        let now = "2026-01-01T01:00:00Z".parse().expect("a time");
        let text = [
            render_queues(&[samples::with(samples::queue_json(), queue)], now),
            render_workers(&[samples::with(samples::worker_json(), worker)], now),
            render_workflows(&[samples::with(samples::workflow_json(), workflow)], now),
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
