//! Logs: where they go and what they look like. Metrics and traces will stand beside them.
//!
//! `BACKSTITCH_LOG` is a tracing filter (`info`, `backstitch=debug,sqlx=warn`), `BACKSTITCH_LOG_FORMAT` is `text` or `json`. Logs go
//! to stderr, because stdout is for data.

use std::{
    env,
    io::{self, IsTerminal},
};

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// Sets logging up for this process. `default` is the filter where the environment names none.
///
/// # Errors
/// When a setting can't be read, or logging has been set up already.
pub fn init(default: &str) -> anyhow::Result<()> {
    let filter = env::var("BACKSTITCH_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(default)).context("BACKSTITCH_LOG is not a filter")?;
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal() && !no_color);
    let registry = tracing_subscriber::registry().with(filter);
    let done = match env::var("BACKSTITCH_LOG_FORMAT").as_deref() {
        Ok("json") => registry.with(layer.json().flatten_event(true)).try_init(),
        Ok("text" | "") | Err(_) => registry.with(layer.with_target(false)).try_init(),
        Ok(other) => anyhow::bail!("BACKSTITCH_LOG_FORMAT is {other:?}; it is text or json"),
    };
    done.context("logging has been set up already")
}
