//! `backstitch run watch`: follows a run until it ends, a line per change. Resumes after a broken connection.

use std::{io, time::Duration};

use anyhow::Context;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    cli::{
        client::{ApiError, Client},
        output::{LOST, Out, print, tell},
    },
    engine::RunStatus,
};

/// Delay between attempts to reconnect.
const PAUSE: Duration = Duration::from_secs(1);

/// Failed attempts in a row before giving up.
const ATTEMPTS: u32 = 30;

/// The run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, or a beginning that no other run has
    id: String,
}

pub(super) async fn run(args: &Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let path = format!("/v1/runs/{}/events", client.run_id(&args.id).await?);
    let (mut last, mut failures): (Option<String>, u32) = (None, 0);
    loop {
        match client.events(&path, last.as_deref()).await {
            Ok(None) => return Ok(()),
            Ok(Some(stream)) => {
                failures = 0;
                if follow(stream, &mut last, out).await? {
                    return Ok(());
                }
            }
            // Nothing has been shown yet, or the server says that retrying makes no sense.
            Err(error) if last.is_none() || refused(&error) || failures >= ATTEMPTS => return Err(error),
            Err(_) => {
                failures += 1;
                tell("the connection broke; reconnecting …");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| (400..500).contains(&error.status))
}

/// Shows events until the stream ends; true if the run has ended, or nobody reads on.
async fn follow(mut stream: Response, last: &mut Option<String>, out: Out) -> anyhow::Result<bool> {
    let mut buffer = Vec::new();
    while let Ok(Some(chunk)) = stream.chunk().await {
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let rest = buffer.split_off(end + 2);
            let event = Event::parse(&String::from_utf8_lossy(&buffer));
            buffer = rest;
            if event.id.is_some() {
                *last = event.id.clone();
            }
            match event.show(out) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(true),
                Err(error) => return Err(error).context(LOST),
            }
        }
    }
    Ok(false)
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    id: Option<String>,
    kind: String,
    data: Value,
}

impl Event {
    fn parse(text: &str) -> Self {
        let mut event = Self::default();
        let mut data = String::new();
        for line in text.lines() {
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("id", value)) => event.id = Some(value.to_owned()),
                Some(("event", value)) => event.kind = value.to_owned(),
                Some(("data", value)) => data.push_str(value),
                _ => {} // a comment that keeps the connection open
            }
        }
        event.data = serde_json::from_str(&data).unwrap_or_default();
        event
    }

    /// Shows it; true if it reports the run's end.
    fn show(&self, out: Out) -> io::Result<bool> {
        if self.data.is_null() {
            return Ok(false);
        }
        let text = if out.json() { json!({"event": self.kind, "data": self.data}).to_string() } else { self.line(out) };
        print(&text)?;
        // A status of a newer server is none of the ends that are known here: the stream closes by itself then.
        let status = self.data["status"].as_str().and_then(|word| word.parse().ok());
        Ok(self.kind == "run" && status.is_some_and(RunStatus::has_ended))
    }

    fn line(&self, out: Out) -> String {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if self.kind == "step" {
            let (outcome, direction) = (text(&self.data["outcome"]), text(&self.data["direction"]));
            let verb = if direction == "undo" { "undo of " } else { "" };
            let error = self.data["error"]["code"].as_str().map(|code| format!("  {code}")).unwrap_or_default();
            let seq = self.data["seq"].as_u64().unwrap_or_default();
            return format!("{seq:>4} {verb}{}: {}{error}", text(&self.data["name"]), out.paint(&outcome));
        }
        let mut line = format!("run {}", out.paint(&text(&self.data["status"])));
        if let Some(kind) = self.data["waiting_on"]["kind"].as_str() {
            line.push_str(&format!(", waits for {kind} {}", text(&self.data["waiting_on"]["name"])));
        }
        if let Some(code) = self.data["failure"]["code"].as_str() {
            line.push_str(&format!("  {code}: {}", text(&self.data["failure"]["message"])));
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;

    #[test]
    fn an_event_becomes_a_line() {
        let out = Out { format: Format::Table, colour: false };
        let step = "id: 5.f1~\nevent: step\ndata: {\"seq\":1,\"name\":\"charge\",\"direction\":\"undo\",\"outcome\":\"ok\"}\n\n";
        let event = Event::parse(step);
        assert_eq!(event.id.as_deref(), Some("5.f1~"));
        assert_eq!(event.line(out), "   1 undo of charge: ok");
        let run = Event::parse(
            "event:run\ndata:{\"status\":\"waiting\",\"waiting_on\":{\"kind\":\"signal\",\"name\":\"cancel\"}}\n\n",
        );
        assert_eq!(run.line(out), "run waiting, waits for signal cancel");
        assert_eq!(Event::parse(": keep-alive\n\n"), Event::default());
    }
}
