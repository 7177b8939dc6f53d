//! Logs: destination and format.
//!
//! `BACKSTITCH_LOG` is a tracing filter (`info`, `backstitch=debug,sqlx=warn`), `BACKSTITCH_LOG_FORMAT` is `text` or
//! `json`. Logs go to stderr, because stdout is for data. JSON is one flat object per line: a span's fields
//! (request_id, run_id, step, attempt, worker …) are beside the event's own, so that they are easy to search.

use std::{
    env, fmt,
    io::{self, IsTerminal},
};

use anyhow::Context;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    prelude::*,
    registry::LookupSpan,
};

use super::statements::count_statements;

/// Sets up logging for this process. `default` is the filter if the environment has none. With `counting`, the statements that
/// the process sends are counted, whatever is logged.
///
/// # Errors
/// When a setting can't be read, or logging has been set up already.
pub fn init(default: &str, counting: bool) -> anyhow::Result<()> {
    let filter = env::var("BACKSTITCH_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(default)).context("BACKSTITCH_LOG is not a filter")?;
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let layer = match env::var("BACKSTITCH_LOG_FORMAT").as_deref() {
        Ok("json") => json_layer(io::stderr).boxed(),
        Ok("text" | "") | Err(_) => {
            let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
            layer.with_ansi(io::stderr().is_terminal() && !no_color).boxed()
        }
        Ok(other) => anyhow::bail!("BACKSTITCH_LOG_FORMAT is {other:?}; it is text or json"),
    };
    let done = if counting {
        tracing_subscriber::registry().with(layer.with_filter(filter)).with(count_statements()).try_init()
    } else {
        tracing_subscriber::registry().with(layer).with(filter).try_init()
    };
    done.context("logging has been set up already")
}

/// The layer that writes JSON lines, for processes with their own subscriber.
pub fn json_layer<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(FlatJson).with_writer(writer)
}

/// One flat object per line. If names collide, the event wins over its spans, and an inner span over an outer one.
struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    JsonFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let known = span.extensions().get::<FormattedFields<JsonFields>>().map(|known| known.fields.clone());
            let known = known.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
            fields.extend(known.unwrap_or_default());
        }
        event.record(&mut Fields(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let head = [
            ("timestamp", Value::from(timestamp)),
            ("level", metadata.level().as_str().into()),
            ("target", metadata.target().into()),
            ("message", message),
        ];
        for (at, (name, value)) in head.into_iter().enumerate() {
            write!(writer, "{}\"{name}\":{value}", if at == 0 { '{' } else { ',' })?;
            fields.remove(name);
        }
        for (name, value) in fields {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        writeln!(writer, "}}")
    }
}

/// Adds an event's fields to those of its spans.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
