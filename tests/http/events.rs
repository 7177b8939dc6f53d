//! Server-sent events: the whole story of a run, resumable at any event.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::server::Server;

/// Reads a stream to its end; gives (id, kind) of each event.
async fn story(server: &Server, id: &str, last: Option<&str>) -> Vec<(String, String)> {
    let mut request = server.request(Method::GET, &format!("/v1/runs/{id}/events"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let text = request.send().await.expect("a stream").text().await.expect("its end");
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    let events = text.split("\n\n").filter(|event| event.contains("data:"));
    events.map(|event| (field(event, "id"), field(event, "event"))).collect()
}

#[tokio::test]
async fn a_stream_has_every_step_and_resumes_anywhere() {
    let server = Server::working().await;
    let id = server.started("patient", json!(null)).await;
    server.until(&id, "waiting").await;
    let (whole, signalled) = tokio::join!(story(&server, &id, None), async {
        server.post(&format!("/v1/runs/{id}/signals/go"), json!(false)).await.status
    });
    assert_eq!(signalled, 202);
    assert_eq!(whole.last().map(|(_, kind)| kind.as_str()), Some("run"), "{whole:?}");
    let steps: Vec<&String> = whole.iter().filter(|(_, kind)| kind == "step").map(|(id, _)| id).collect();
    assert_eq!(steps.len(), 3, "hold, the signal, the undo of hold: {whole:?}");

    for (at, seen) in steps.iter().enumerate() {
        let rest = story(&server, &id, Some(seen)).await;
        let again: Vec<&String> = rest.iter().filter(|(_, kind)| kind == "step").map(|(id, _)| id).collect();
        assert_eq!(again.len(), steps.len() - at - 1, "after {seen}: {rest:?}");
    }
}

#[tokio::test]
async fn after_the_end_there_is_nothing_to_resume() {
    let server = Server::working().await;
    let id = server.started("echo", json!({"text": "a"})).await;
    server.until(&id, "completed").await;
    let whole = story(&server, &id, None).await;
    let (last, _) = whole.last().expect("an end");
    let request = server.request(Method::GET, &format!("/v1/runs/{id}/events")).header("last-event-id", last);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::NO_CONTENT);
}
