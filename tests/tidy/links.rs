//! Docs that lead somewhere: every relative link, every heading that a link names, and every path in the text exists.

use std::fs;

use crate::{Page, assert_none, pages, root};

/// Where a path in the text may begin.
const FOLDERS: &[&str] = &["src/", "tests/", "examples/", "docs/", "deploy/", "migrations/", "scripts/"];

fn docs() -> Vec<Page> {
    pages(&["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "migrations", "docs"], &["md"])
}

/// The text outside of code blocks.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of `[text](target)`, but for other sites.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a link from a page leads to a file, and to a heading of it where it names one.
fn leads_somewhere(from: &str, target: &str) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let here = root().join(from);
    let file = if path.is_empty() { here } else { here.parent().unwrap_or(root()).join(path) };
    if heading.is_empty() || !file.is_file() {
        return heading.is_empty() && file.exists();
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    prose(&text).lines().any(|line| line.starts_with('#') && anchor(line) == heading)
}

/// Paths that the text names, with or without backticks.
fn named_paths(text: &str) -> Vec<&str> {
    let ends = |c: char| c.is_whitespace() || "`()[],;:*{}<>|#".contains(c);
    let words = text.split(ends).map(|word| word.trim_end_matches(['.', '…']));
    words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))).collect()
}

fn exists(path: &str) -> bool {
    root().join(path).exists() || root().join(path).with_extension("rs").exists()
}

#[test]
fn links_in_docs_lead_somewhere() {
    let wrong = |page: &Page| {
        let prose = prose(&page.text);
        let links = links(&prose).into_iter().filter(|target| !leads_somewhere(&page.path, target));
        links.map(|target| format!("{}: {target}", page.path)).collect::<Vec<_>>()
    };
    let found: Vec<String> = docs().iter().flat_map(wrong).collect();
    assert_none(&found, "a link leads to a file, or to a heading in it");
}

#[test]
fn paths_in_docs_exist() {
    let wrong = |page: &Page| {
        let prose = prose(&page.text);
        let gone = named_paths(&prose).into_iter().filter(|path| !exists(path));
        gone.map(|path| format!("{}: {path}", page.path)).collect::<Vec<_>>()
    };
    let found: Vec<String> =
        docs().iter().filter(|page| !page.path.starts_with("docs/decisions/")).flat_map(wrong).collect();
    assert_none(&found, "a path that docs name exists; say it as it is now");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_found() {
        assert_eq!(links("see [a](b.md#c), [d](https://e) and [f](#g)"), ["b.md#c", "#g"]);
        assert!(leads_somewhere("README.md", "docs/README.md") && leads_somewhere("docs/README.md", "../README.md"));
        assert!(leads_somewhere("README.md", "docs/api.md#a-run") && !leads_somewhere("README.md", "docs/api.md#b"));
        assert!(!leads_somewhere("README.md", "docs/nothing.md"));
        assert_eq!(anchor("### Alert: database down"), "alert-database-down");
    }

    #[test]
    fn a_path_to_nothing_is_found() {
        assert_eq!(named_paths("see `src/a.rs`, tests/b. And nothing/c"), ["src/a.rs", "tests/b"]);
        assert!(exists("tests/tidy") && exists("tests/tidy/main.rs") && !exists("src/nothing"));
        assert_eq!(prose("a\n```\nsrc/b\n```\nc"), "a\nc");
    }
}
