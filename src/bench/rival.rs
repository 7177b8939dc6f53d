//! Another program that is measured beside ours: a command that prints how many runs a second it did.

use std::{
    process::{Output, Stdio},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;
use tokio::process::Command;

use super::{compare::OURS, place::Place};

/// What programs call the figure.
const FIGURES: [&str; 2] = ["runs_per_s", "runs_per_second"];
/// Of what a failed command said, this much is passed on.
const LAST_LINES: usize = 5;

/// `NAME=COMMAND`. The shell runs the command with `DATABASE_URL`, an empty database, and `BACKSTITCH`, this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// What to call it.
    pub name: String,
    command: String,
}

impl FromStr for Rival {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, command) = text.split_once('=').ok_or("say NAME=COMMAND")?;
        let (name, command) = (name.trim(), command.trim());
        if name.is_empty() || command.is_empty() || name == OURS {
            return Err("say NAME=COMMAND, with a name of its own and a command");
        }
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

impl Rival {
    /// Runs it once, for so long at most; gives its runs a second.
    pub(super) async fn run(&self, place: &Place, limit: Duration) -> anyhow::Result<f64> {
        let ran = tokio::time::timeout(limit, self.output(place));
        let output =
            ran.await.map_err(|_| anyhow!("it has not ended after {}", humantime::format_duration(limit)))??;
        let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let lines: Vec<&str> = said.trim_end().lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
            bail!("it failed with {}: {}", output.status, last.join("\n"));
        }
        read_rate(&printed)
    }

    async fn output(&self, place: &Place) -> anyhow::Result<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", &self.command]).env("DATABASE_URL", &place.url).env("BACKSTITCH", &place.program);
        if let Some(runs) = place.size.runs {
            command.env("RUNS", runs.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let child = command.spawn().context("it can't be started")?;
        let group = child.id().map(Group);
        let output = child.wait_with_output().await?;
        drop(group);
        Ok(output)
    }
}

/// The command and what it has started; all are asked to end when it has ended, or is given up.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0) {
            // An error would mean that nothing of it is running.
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
    }
}

/// The figure in what a command printed: JSON alone, as ours prints it, or the last line that is JSON.
fn read_rate(printed: &str) -> anyhow::Result<f64> {
    let line = || printed.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let found: Option<Value> = serde_json::from_str(printed).ok().or_else(line);
    let found = found.context("it printed no JSON")?;
    let object = match found.as_array().map(Vec::as_slice) {
        Some([only]) => only,
        _ => &found,
    };
    let rate = FIGURES.iter().find_map(|name| object[*name].as_f64());
    let rate = rate.with_context(|| format!("its JSON has no number `{}`", FIGURES[0]))?;
    ensure!(rate.is_finite() && rate > 0.0, "it did {rate} runs a second");
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_is_a_name_and_a_command() {
        let rival: Rival = "dbos=run.sh --n=5".parse().expect("it is well formed");
        assert_eq!((&*rival.name, &*rival.command), ("dbos", "run.sh --n=5"));
        for text in ["run.sh", "=run.sh", "dbos=", " = ", "backstitch=run.sh"] {
            assert!(text.parse::<Rival>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_from_json_as_programs_print_it() {
        let rate = |text: &str| read_rate(text).map_err(|error| error.to_string());
        assert_eq!(rate("{\"runs_per_s\": 12.5}"), Ok(12.5));
        assert_eq!(rate("[\n  {\"runs_per_s\": 12.5}\n]\n"), Ok(12.5), "as ours does");
        assert_eq!(rate("warming up\n{\"runs_per_s\": 1}\n{\"runs_per_second\": 2}\nbye\n"), Ok(2.0), "the last");
        assert_eq!(rate("fast").unwrap_err(), "it printed no JSON");
        assert_eq!(rate("{\"rate\": 1}").unwrap_err(), "its JSON has no number `runs_per_s`");
        assert_eq!(rate("{\"runs_per_s\": \"1\"}").unwrap_err(), "its JSON has no number `runs_per_s`");
        assert_eq!(rate("{\"runs_per_s\": 0}").unwrap_err(), "it did 0 runs a second");
    }
}
