//! The binary at a terminal: how a run is named, and what it does to a database of somebody else.

use std::{process::Stdio, time::Duration};

use backstitch::engine::{Engine, Registry, StartRun, WorkerConfig, Workflow, to_json};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};
use tokio_util::sync::CancellationToken;

use crate::{
    server::{Hold, Patient, Server},
    support::{TestDatabase, wait_until},
};

/// Gives the exit status, and all that it says.
async fn backstitch(url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    process.args(arguments).env("BACKSTITCH_URL", url).stdin(Stdio::null()).kill_on_drop(true);
    let output = process.output().await.expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test]
async fn a_run_is_named_by_its_ids_unique_beginning() {
    let server = Server::working().await;
    let (one, other) = (server.started("patient", json!(null)).await, server.started("patient", json!(null)).await);
    server.until(&one, "waiting").await;
    let common = one.bytes().zip(other.bytes()).take_while(|(left, right)| left == right).count();
    let (unique, shared) = (&one[..=common], &one[..common]);
    for verb in ["show", "why", "export"] {
        let (status, said) = backstitch(server.url(), &["run", verb, unique]).await;
        assert!(status == Some(0) && said.contains(&one), "{verb}: {said}");
    }
    let (status, said) = backstitch(server.url(), &["run", "pause", unique]).await;
    assert_eq!(status, Some(0), "{said}");
    server.until(&one, "paused").await;
    let (status, said) = backstitch(server.url(), &["run", "signal", unique, "go", "--payload", "false"]).await;
    assert!(status == Some(0) && said.contains(&one), "{said}");
    let (status, said) = backstitch(server.url(), &["audit", "--run", unique]).await;
    assert!(status == Some(0) && said.contains("pause"), "{said}");

    let (status, said) = backstitch(server.url(), &["run", "pause", shared]).await;
    assert!(status == Some(1) && said.contains("several runs"), "{said}");
    assert_ne!(server.get(&format!("/v1/runs/{other}")).await.json["status"], "paused");
    for nobodys in ["ffffffff-ffff", "nonsense", "../audit"] {
        let (status, said) = backstitch(server.url(), &["run", "show", nobodys]).await;
        assert!(status == Some(1) && said.contains("there is no run"), "{nobodys}: {said}");
    }
    server.post(&format!("/v1/runs/{unique}/pause"), json!({})).await.is_problem(404, "unknown_run");
}

#[tokio::test]
async fn serve_adds_nothing_to_anothers_database() {
    let database = TestDatabase::unmigrated().await;
    let registry = Registry::new().workflow(Patient).activity(Hold);
    let engine = Engine::new(database.pool().clone(), registry);
    engine.migrate().await.expect("it is empty");
    let stop = CancellationToken::new();
    tokio::spawn(engine.worker(WorkerConfig::default()).run(stop.clone().cancelled_owned()));
    let request = StartRun::named(Patient::NAME, to_json(&()).expect("JSON"));
    let run = engine.start(request).await.expect("it starts").run;
    let mut process = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    process
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", database.url())
        .env("BACKSTITCH_LOG", "error");
    process.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut serving = process.spawn().expect("it starts");
    let mut lines = BufReader::new(serving.stdout.take().expect("piped")).lines();
    let line = lines.next_line().await.expect("it reads").expect("it is ready");
    let url = line.strip_prefix("ready: ").expect("its address").to_owned();

    wait_until("the run waits", async || engine.run(run).await.is_ok_and(|run| run.status == "waiting")).await;
    let plan = ["run", "compensate", &run.to_string(), "--reason", "r", "--dry-run"];
    let (status, said) = backstitch(&url, &plan).await;
    assert!(status == Some(0) && said.contains("this server does not know hold"), "{said}");
    // It has looked at the database twice at least by then.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let schedules = engine.schedules().await.expect("they can be read");
    assert!(schedules.is_empty(), "{schedules:?}");
    stop.cancel();
}

#[tokio::test]
async fn the_demo_ends_right_without_a_warning() {
    let output = Command::new(env!("CARGO_BIN_EXE_backstitch"))
        .args(["demo", "--orders", "15", "-o", "json"])
        .env_remove("BACKSTITCH_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&report["right"], report["orders"].as_array().map(Vec::len)), (&json!(true), Some(15)));
    let messages = &report["messages"];
    assert_eq!(
        (&messages["events"]["order.created"], &messages["notices"]["order.created"]),
        (&json!(15), &json!(15)),
        "{messages}"
    );
    assert_eq!((&messages["events"]["payment.refunded"], &messages["unsent"]), (&json!(5), &json!(0)), "{messages}");
    let logged: Vec<&str> = said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    assert!(logged.is_empty(), "{logged:#?}");
}
