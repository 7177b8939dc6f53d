//! The command line, as the person on call uses it: the binary, a key, nothing else.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::stage::Stage;

/// Wide enough for every table.
const COLUMNS: usize = 80;

/// A terminal with the person's key in its environment.
pub(crate) struct Terminal {
    url: String,
    key: String,
}

impl Terminal {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self { url: stage.url.clone(), key: stage.operator_key.clone() }
    }

    /// A command that has to succeed; its table has to fit the terminal.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let text = self.say(args);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > COLUMNS).collect();
        assert!(wide.is_empty(), "backstitch {}: wider than {COLUMNS} columns: {wide:#?}", args.join(" "));
        text
    }

    /// A command that has to succeed and gives sentences, which a terminal may break.
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let (text, messages) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "backstitch {}: {messages}", args.join(" "));
        println!("$ backstitch {}\n{text}{messages}", args.join(" "));
        text.into_owned()
    }

    /// A command's data.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        let output = self.output(&args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    /// How many runs have this status, up to a page.
    pub(crate) async fn list_count(&self, status: &str) -> usize {
        let page = self.json(&["run", "list", "--status", status, "--limit", "200"]);
        page["items"].as_array().expect("items").len()
    }

    /// The whole audit, oldest first, read page by page.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut args = vec!["audit", "--limit", "200"];
            args.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
            let page = self.json(&args);
            all.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        all.reverse();
        all
    }

    fn output(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_backstitch"))
            .args(args)
            .env("BACKSTITCH_URL", &self.url)
            .env("BACKSTITCH_API_KEY", &self.key)
            .env("COLUMNS", COLUMNS.to_string())
            .stdin(Stdio::null())
            .output()
            .expect("it starts")
    }
}
