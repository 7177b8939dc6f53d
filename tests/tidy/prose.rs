//! Docs that a stranger reads to the end: budgets of words, lines that fit, phrases that are no English.

use crate::{assert_none, pages};

/// Words of the README.
const README_WORDS: usize = 1_300;
/// Words of README, ARCHITECTURE, CONTRIBUTING, migrations/README and docs/*.md together. Each larger piece of work may add 1,000.
const ALL_WORDS: usize = 19_350;
/// Words of a decision record below its title.
const DECISION_WORDS: usize = 150;
/// Columns of a line of prose.
const COLUMNS: usize = 120;

/// What nobody says to a colleague, and what to say.
const PHRASES: &[(&str, &str)] = &[
    ("whoever", "name them: the caller, an operator, the next worker"),
    ("any more", "say it positively, or `no longer`"),
    ("in mid-call", "`during a call`"),
];

/// Where they may stand: this list, and migrations of old.
const EXCEPT: &[&str] = &["tests/tidy/prose.rs", "tests/upgrade/before/"];

/// Prose beside the decision records.
fn is_prose(path: &str) -> bool {
    let below_docs = path.strip_prefix("docs/");
    path.ends_with(".md") && below_docs.is_none_or(|rest| !rest.contains('/'))
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// Lines (from 1) of prose that are too wide. Tables and code are no prose, and what can't be broken is left alone.
fn long_lines(text: &str, columns: usize) -> Vec<usize> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let is_prose = !in_code && !line.trim_start().starts_with('|') && line.trim().contains(' ');
        if is_prose && line.chars().count() > columns {
            found.push(at + 1);
        }
    }
    found
}

/// Whether a phrase stands in a text, also across a line break.
fn says(text: &str, phrase: &str) -> bool {
    let plain = |character: char| if character.is_alphanumeric() || "-'".contains(character) { character } else { ' ' };
    let text: String = text.to_lowercase().chars().map(plain).collect();
    let text = format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" "));
    text.contains(&format!(" {phrase} "))
}

#[test]
fn docs_keep_to_their_budget() {
    let all = pages(&["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "migrations/README.md", "docs"], &["md"]);
    let counts = all.iter().map(|page| (page.path.as_str(), count_words(&page.text)));
    let of_prose: Vec<(&str, usize)> = counts.filter(|(path, _)| is_prose(path)).collect();
    let total: usize = of_prose.iter().map(|(_, words)| words).sum();
    println!("{total} words of {ALL_WORDS}: {of_prose:?}");
    assert!(total <= ALL_WORDS, "{total} words of docs, {ALL_WORDS} are the budget: shorten something: {of_prose:?}");
    let readme = of_prose.iter().find(|(path, _)| *path == "README.md").map_or(0, |(_, words)| *words);
    assert!(readme <= README_WORDS, "README.md has {readme} words, {README_WORDS} are the budget");
}

#[test]
fn decisions_are_short() {
    let records = pages(&["docs/decisions"], &["md"]).into_iter().filter(|page| !page.path.ends_with("README.md"));
    let below_title = |text: &str| text.split_once('\n').map_or(0, |(_, body)| count_words(body));
    let long = records.map(|page| (below_title(&page.text), page.path)).filter(|(words, _)| *words > DECISION_WORDS);
    let long: Vec<String> = long.map(|(words, path)| format!("{path}: {words} words")).collect();
    assert_none(&long, &format!("a decision is context, decision and consequence, in {DECISION_WORDS} words"));
}

#[test]
fn lines_of_prose_fit() {
    let places = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "migrations/README.md", "docs"];
    let found: Vec<String> = pages(&places, &["md"])
        .iter()
        .flat_map(|page| long_lines(&page.text, COLUMNS).into_iter().map(|line| format!("{}:{line}", page.path)))
        .collect();
    assert_none(&found, &format!("lines of prose wrap at {COLUMNS} columns"));
}

#[test]
fn phrases_are_plain_english() {
    let places =
        ["src", "tests", "examples", "docs", "deploy", "scripts", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let places = [&places[..], &["migrations/README.md", "CHANGELOG.md", "Cargo.toml"]].concat();
    let all = pages(&places, &["rs", "md", "sql", "html", "sh", "yml", "toml", "js", "css"]);
    let all: Vec<_> = all.into_iter().filter(|page| !EXCEPT.iter().any(|path| page.path.starts_with(path))).collect();
    for (phrase, instead) in PHRASES {
        let found: Vec<String> =
            all.iter().filter(|page| says(&page.text, phrase)).map(|page| page.path.clone()).collect();
        assert_none(&found, &format!("`{phrase}` is no plain English; {instead}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_not_counted_as_prose() {
        assert!(is_prose("README.md") && is_prose("docs/api.md") && is_prose("migrations/README.md"));
        assert!(!is_prose("docs/decisions/0001-a.md") && !is_prose("docs/openapi.json"));
    }

    #[test]
    fn only_prose_has_to_fit() {
        let wide = "a ".repeat(8);
        let text = format!("{wide}\n| {wide} |\n```sh\n{wide}\n```\n{}\nshort one", "x".repeat(20));
        assert_eq!(long_lines(&text, 10), [1]);
    }

    #[test]
    fn phrases_are_found_across_lines_and_only_whole() {
        assert!(says("It is not there any\n    /// more.", "any more"));
        assert!(!says("many more, any moreover", "any more"));
        assert!(says("(Whoever)", "whoever"));
    }
}
