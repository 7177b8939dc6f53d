//! Events as lines of JSON on the standard output, for a log collector or a pipe.

use std::io::{self, Write};

use crate::engine::outbox::{Event, Sink, SinkError};

/// Writes each event as one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout;

impl Sink for Stdout {
    fn name(&self) -> &'static str {
        "stdout"
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event).map_err(|error| SinkError::new(error.to_string()))?;
            lines.push(b'\n');
        }
        // A reader that has stopped reading must not stop a worker's thread.
        match tokio::task::spawn_blocking(move || write(&lines)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SinkError::new(format!("the standard output takes nothing: {error}"))),
            Err(_) => Err(SinkError::new("the standard output takes nothing: the server is stopping")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "every error is the sink's, which tries again")]
fn write(lines: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(lines).and_then(|()| out.flush())
}
