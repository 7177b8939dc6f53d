//! Promise: with the feature `otlp` a run is a trace at a collector. The collector here is our own; it knows protobuf's wire
//! format and the numbers of the promised fields, and none of the exporter's code.

#[path = "support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use backstitch::{
    engine::{StartRun, WorkerConfig},
    telemetry::Traces,
};
use tokio::net::TcpListener;

use crate::support::{engine::*, script::*};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A field of a message: a number, or bytes, which may be a message.
#[derive(Clone, Debug)]
enum Wire {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message, in their order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Wire)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Wire::Number(varint(&mut bytes)),
            1 => Wire::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("eight bytes"))),
            2 => {
                let length = varint(&mut bytes) as usize;
                Wire::Bytes(take(&mut bytes, length).to_vec())
            }
            5 => Wire::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().expect("four bytes")).into()),
            other => panic!("there is no wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (head, rest) = bytes.split_at(count);
    *bytes = rest;
    head
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// All parts of a message with that number that are bytes.
fn parts(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let wanted = fields(message).into_iter().filter(|(field, _)| *field == number);
    wanted.filter_map(|(_, value)| if let Wire::Bytes(bytes) = value { Some(bytes) } else { None }).collect()
}

fn text(message: &[u8], number: u64) -> String {
    parts(message, number).pop().map_or_else(String::new, |bytes| String::from_utf8(bytes).expect("text"))
}

fn number(message: &[u8], number: u64) -> u64 {
    let found = fields(message).into_iter().find(|(field, _)| *field == number);
    if let Some((_, Wire::Number(value))) = found { value } else { 0 }
}

/// A span as it was received.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    /// 0 unset, 1 ok, 2 error.
    status: u64,
}

/// ExportTraceServiceRequest: resource_spans 1, scope_spans 2, spans 2.
fn spans(request: &[u8]) -> Vec<Span> {
    let scopes = parts(request, 1).into_iter().flat_map(|resource| parts(&resource, 2));
    scopes.flat_map(|scope| parts(&scope, 2)).map(|span| read(&span)).collect()
}

fn read(span: &[u8]) -> Span {
    let id = |number: u64| parts(span, number).pop().map_or_else(String::new, hex::encode);
    let attribute = |pair: Vec<u8>| {
        let value = parts(&pair, 2).pop().unwrap_or_default();
        let value = match fields(&value).pop() {
            Some((1, Wire::Bytes(bytes))) => String::from_utf8(bytes).expect("text"),
            Some((_, Wire::Number(number))) => number.to_string(),
            other => panic!("an attribute of another kind: {other:?}"),
        };
        (text(&pair, 1), value)
    };
    Span {
        trace: id(1),
        id: id(2),
        parent: id(4),
        name: text(span, 5),
        began: number(span, 7),
        ended: number(span, 8),
        attributes: parts(span, 9).into_iter().map(attribute).collect(),
        status: parts(span, 15).pop().map_or(0, |status| number(&status, 3)),
    }
}

type Received = Arc<Mutex<Vec<u8>>>;

async fn receive(State(received): State<Received>, body: Bytes) {
    // Requests one behind the other are one request with the parts of both: that is how protobuf merges.
    received.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&body);
}

#[tokio::test]
async fn a_compensated_run_is_one_exported_trace() {
    let received = Received::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/v1/traces", post(receive)).with_state(received.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert!(Traces::to("").is_err(), "a collector has an address");
    let traces = Traces::to(&url).expect("an exporter");

    let mut t = TestEngine::idle().await;
    t.add_worker(WorkerConfig { observer: Some(traces.observer()), ..WorkerConfig::default() }).await;
    t.script.on("charge", Side::Run, [Do::Unknown("lost")]);
    t.script.on("charge", Side::Verify, [Do::Happened(serde_json::json!(1))]);
    t.script.on("note", Side::Run, [Do::Failed("busy"), Do::Fatal("declined")]);
    let program = [call("reserve"), call("charge"), call("note")];
    let start = StartRun { traceparent: Some(CALLER.to_owned()), ..request("scripted", &program) };
    let run = t.engine.start(start).await.expect("it starts").run;
    t.is(run, "compensated").await;
    t.finish().await;
    traces.finish().await;

    let bytes = received.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut spans = spans(&bytes);
    spans.sort_by_key(|span| span.ended);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "forward reserve",
        "forward charge",
        "verify charge",
        "forward note",
        "forward note",
        "undo charge",
        "undo reserve",
    ];
    assert_eq!(names, expected, "{spans:#?}");
    assert_eq!(spans.iter().map(|span| &span.id).collect::<HashSet<_>>().len(), spans.len(), "each has its own id");
    for span in &spans {
        assert_eq!(
            (span.trace.as_str(), span.parent.as_str()),
            ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
        );
        assert!(span.began <= span.ended && span.began > 1_600_000_000_000_000_000, "{span:?}");
        assert_eq!(span.attributes["backstitch.run_id"], run.to_string());
        assert_eq!(span.attributes["backstitch.workflow"], "scripted");
    }
    let describe = |span: &Span| {
        let of = |name: &str| span.attributes.get(name).cloned().unwrap_or_default();
        let [step, attempt, outcome, code] =
            ["backstitch.step", "backstitch.attempt", "backstitch.outcome", "error.type"].map(of);
        (step, attempt, outcome, code, span.status)
    };
    let of = |step: &str, attempt: &str, outcome: &str, code: &str, status| {
        (step.to_owned(), attempt.to_owned(), outcome.to_owned(), code.to_owned(), status)
    };
    let expected = [
        of("0", "1", "ok", "", 0),
        of("1", "1", "unknown", "lost", 2),
        of("1", "2", "happened", "", 0),
        of("2", "1", "failed", "busy", 2),
        of("2", "2", "failed", "declined", 2),
        of("1", "1", "ok", "", 0),
        of("0", "1", "ok", "", 0),
    ];
    assert_eq!(spans.iter().map(describe).collect::<Vec<_>>(), expected);
}
