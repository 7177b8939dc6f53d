//! Output: data on stdout, as tables that fit 80 columns or as JSON; everything else on stderr.
//!
//! Colours only if stdout is a terminal and `NO_COLOR` is not set. Times are short and relative in tables; JSON keeps
//! the server's.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// What is said when stdout takes no more.
pub const LOST: &str = "stdout could not be written";

/// Tables are at most this wide.
pub const WIDTH: u16 = 80;

/// `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// How output looks.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Table or JSON.
    pub format: Format,
    /// Whether to use colours.
    pub colour: bool,
}

impl Out {
    /// Output for this process's stdout and environment.
    pub fn new(format: Format) -> Self {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: stdout().is_terminal() && !no_color }
    }

    /// Whether the output is JSON.
    pub fn json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints data as JSON, or as the text that `table` makes of it.
    pub fn show<T: Serialize>(self, data: &T, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Json => say(&serde_json::to_string_pretty(data)?),
            Format::Table => say(table().trim_end()),
        }
    }

    /// A status or outcome in its colour.
    pub fn paint(self, word: &str) -> String {
        let colour = match word {
            "completed" | "ok" | "placed" | "delivered" | "✓" => "32",
            "failed" | "stuck" | "abandoned" | "✗" => "31",
            "compensating" | "compensated" | "cancelling" | "cancelled" | "unknown" | "skipped" | "?" => "33",
            "running" | "pending" | "waiting" | "paused" | "▸" => "36",
            _ => return word.to_owned(),
        };
        if self.colour { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}

/// Writes a line (or several) to stdout and sees it through: after an error, the text or its end is lost.
///
/// # Errors
/// When stdout is closed or takes no more.
pub fn print(text: &str) -> io::Result<()> {
    writeln!(stdout().lock(), "{text}")?;
    flush()
}

/// Sees through what others have written to stdout.
///
/// # Errors
/// As [`print()`].
pub fn flush() -> io::Result<()> {
    stdout().lock().flush()
}

#[expect(clippy::disallowed_methods, reason = "here every error is seen")]
fn stdout() -> io::Stdout {
    io::stdout()
}

/// Prints data. A reader that has gone, as `head` does, has what it wanted: the command goes on to its exit status.
///
/// # Errors
/// When stdout takes no more, as on a full disk.
pub fn say(text: &str) -> anyhow::Result<()> {
    match print(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context(LOST),
    }
}

/// Prints a line for people on stderr.
pub fn tell(text: impl Display) {
    // If stderr is closed, nobody reads it.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error with its causes, each said once: many errors repeat their cause's text in their own.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Asks for confirmation if stdin is a terminal.
pub fn confirm(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true); // scripts know what they do; the reason has been given
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A table without frames; cells wrap to stay within [`WIDTH`].
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    // Each cell has a space on either side; the first one would indent every line.
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The wall clock of this machine, only to show times as ages.
#[expect(clippy::disallowed_methods, reason = "for display only")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// How long ago, or how long until.
pub fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ms = (at - now).num_milliseconds();
    match ms {
        -999..=999 => "now".to_owned(),
        1000.. => format!("in {}", span(ms)),
        _ => format!("{} ago", span(-ms)),
    }
}

/// How long ago, in as few characters as a column has room for.
pub fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    relative(at, now).trim_end_matches(" ago").to_owned()
}

/// A duration in milliseconds, in about six characters.
pub fn span(ms: i64) -> String {
    let (s, m, h) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    match ms {
        ..=999 => format!("{ms}ms"),
        1_000..10_000 => format!("{}.{}s", s, ms % 1000 / 100),
        10_000..60_000 => format!("{s}s"),
        60_000..3_600_000 => format!("{m}m{:02}s", s % 60),
        3_600_000..172_800_000 => format!("{h}h{:02}m", m % 60),
        _ => format!("{}d", h / 24),
    }
}

/// A text cut to that many characters, with an ellipsis.
pub fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_never_runs_over_eighty_columns() {
        let long = "word ".repeat(40);
        let text = table(&["ID", "TEXT"], [vec!["0".repeat(36), long]]);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    }

    #[test]
    fn a_cause_is_said_once() {
        use sqlx::migrate::MigrateError;
        let cause = sqlx::Error::Protocol("relation \"run\" exists".to_owned());
        let error = anyhow::Error::new(crate::engine::Error::Migrate(MigrateError::ExecuteMigration(cause, 3)));
        let text = chain(&error.context("the schema could not be brought up to date"));
        assert_eq!(text.matches("relation").count(), 1, "{text}");
        assert!(text.starts_with("the schema could not be brought up to date: ") && text.contains(" 3: "), "{text}");
    }

    #[test]
    fn spans_are_short() {
        let all: Vec<String> = [0, 12, 999, 1500, 12_345, 61_000, 3_600_000, 90_000_000, 200_000_000].map(span).into();
        assert_eq!(all, ["0ms", "12ms", "999ms", "1.5s", "12s", "1m01s", "1h00m", "25h00m", "2d"]);
    }

    #[test]
    fn times_are_told_from_now() {
        let now = DateTime::from_timestamp(1_000_000, 0).expect("a time");
        let at = |s: i64| relative(now + chrono::TimeDelta::seconds(s), now);
        assert_eq!([at(0), at(-90), at(5)], ["now", "1m30s ago", "in 5.0s"]);
    }

    #[test]
    fn without_a_terminal_there_are_no_colours() {
        let out = Out { format: Format::Table, colour: false };
        assert_eq!(out.paint("stuck"), "stuck");
        assert_eq!(Out { colour: true, ..out }.paint("stuck"), "\u{1b}[31mstuck\u{1b}[0m");
    }
}
