//! A test: the commands that the dashboard shows exist.

use clap::{CommandFactory, Parser};

use super::Cli;

const TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/pages/templates");

/// Splits a line as a shell does, as far as single quotes go.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Whether the words after the program's name are verbs of it, as far as verbs go.
fn has_verb(line: &str) -> bool {
    let mut command = Cli::command();
    for word in line.split(' ').skip(1) {
        if !command.has_subcommands() {
            break;
        }
        let Some(found) = command.find_subcommand(word) else { return false };
        command = found.clone();
    }
    true
}

#[test]
fn commands_on_pages_exist() {
    let mut shown = 0;
    for file in std::fs::read_dir(TEMPLATES).expect("the templates") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a template");
        for (tag, whole) in [("<pre>", true), ("<code>", false)] {
            for block in text.split(tag).skip(1).filter(|block| block.starts_with("backstitch ")) {
                for line in block.split('<').next().unwrap_or_default().lines() {
                    let parsed = Cli::try_parse_from(split(line));
                    assert!(has_verb(line), "{}: {line}", path.display());
                    assert!(!whole || parsed.is_ok(), "{}: {line}: {}", path.display(), parsed.expect_err("an error"));
                    shown += 1;
                }
            }
        }
    }
    assert!(shown > 3, "{shown} commands were found");
}
