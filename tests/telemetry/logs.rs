//! Promise: each JSON log line is one flat object, and a failing run can be followed by its id, without its payloads.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use backstitch::telemetry::json_layer;
use serde_json::{Value, json};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, prelude::*};

use crate::support::{engine::*, script::*};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).expect("text");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

#[tokio::test]
async fn the_log_follows_a_run_without_its_payloads() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new("info")).with(json_layer(lines.clone()));
    subscriber.init();
    let t = TestEngine::new().await;
    t.script.on("charge", Side::Run, [Do::Give(json!({"card": "4711-secret"}))]);
    t.script.on("note", Side::Run, [Do::Failed("busy"), Do::Unknown("lost"), Do::Fatal("declined")]);
    let run = t.ends(&[call("charge"), call("note")], "compensated").await;

    let lines = lines.read();
    for line in &lines {
        let head = ["timestamp", "level", "target", "message"];
        assert!(head.iter().all(|name| line[name].as_str().is_some_and(|text| !text.is_empty())), "{line}");
        let nested = line.as_object().into_iter().flatten().find(|(_, value)| value.is_object() || value.is_array());
        assert!(nested.is_none(), "{line}");
        let text = line.to_string();
        assert!(!text.contains("4711-secret") && !text.contains("as the test says"), "{line}");
    }
    let id = run.id.to_string();
    let of_run: Vec<_> = lines.iter().filter(|line| line["run_id"] == id.as_str()).collect();
    let attempts: Vec<_> = of_run
        .iter()
        .filter(|line| line["code"].is_string())
        .map(|line| (line["level"].as_str(), line["attempt"].as_u64(), line["code"].as_str()))
        .collect();
    let expected = [
        (Some("INFO"), Some(1), Some("busy")),
        (Some("WARN"), Some(2), Some("lost")),
        (Some("INFO"), Some(3), Some("declined")),
    ];
    assert_eq!(attempts, expected, "{of_run:#?}");
    for line in of_run {
        let same = (&line["step"], &line["activity"], &line["direction"], &line["trace_id"]);
        assert_eq!(same, (&json!(1), &json!("note"), &json!("forward"), &json!(run.trace_id)), "{line}");
        assert!(line["worker"].is_string() && line["lane"].is_i64(), "{line}");
    }
    t.finish().await;
}
