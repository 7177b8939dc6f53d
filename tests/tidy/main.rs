//! The project's rules that a machine can check, each a test with its reason.
//!
//! A rule here is agreed on; change it in the same commit as the code that needs it changed, with the reason. The compiler,
//! clippy and rustfmt hold the rest.
//!
//! | file | rules about |
//! |---|---|
//! | `main` | sizes, where SQL stands, what the core and the faces may name, names of migrations, codes |
//! | `structure` | floors and circles, by the `graph` of which file needs which; `needs` reads one file |
//! | `words` | identifiers that are no longer used |
//! | `prose` | budgets of words, lines that fit, phrases that are no English |
//! | `links` | links and paths in docs, which lead somewhere |
//! | `rules`, `source` | the rules of `main` as functions of a file's text, and the lexer below all of them |

mod graph;
mod links;
mod needs;
mod prose;
mod rules;
mod source;
mod structure;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 80;
/// Words of a test's name: a sentence of about eight. What it does not say, its module does.
const LONGEST_TEST_NAME: usize = 10;

/// Where SQL text may stand: an idea that changes the schema should find all statements in one place.
const SQL_FLOORS: &[&str] = &["src/engine/store/", "src/orders/store/"];

/// Files elsewhere that hold SQL, each with its reason.
const SQL_EXCEPTIONS: &[(&str, &str)] = &[
    ("src/embedded/mod.rs", "creates the database in a server that has just been started; no tables of ours"),
    ("src/bench/measure.rs", "counts from outside of the engine what the engine has done"),
    ("src/telemetry/statements.rs", "knows by their ends how many transactions began"),
    ("src/bench/floor.rs", "commits and inserts into a table of its own, without any engine"),
    ("src/bench/transactional.rs", "plays a caller who has a table"),
    ("src/bench/peers.rs", "plays a caller who has a table"),
];

/// A file of the project: its path from the root, with `/`, and its text.
struct Page {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below some directories (or single files) with one of these endings, in order of their paths.
fn pages(places: &[&str], endings: &[&str]) -> Vec<Page> {
    let mut waiting: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory of the project can be read");
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        } else if path.exists() && endings.iter().any(|ending| path.extension().is_some_and(|actual| actual == *ending))
        {
            let text = fs::read_to_string(&path).expect("a file of the project is text");
            let path = path.strip_prefix(root()).expect("it lies below the root").display().to_string();
            found.push(Page { path, text });
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn rust_pages() -> Vec<Page> {
    let found = pages(&["src", "tests", "examples", "benches"], &["rs"]);
    assert!(found.len() > 5, "the walk over the source found only {} files", found.len());
    found
}

/// Runs a rule over Rust files whose path begins with one of `floors`; gives `path:line: what`.
fn breaches(floors: &[&str], rule: impl Fn(&Source) -> Vec<(usize, String)>) -> Vec<String> {
    let pages = rust_pages().into_iter().filter(|page| floors.iter().any(|floor| page.path.starts_with(floor)));
    let found = |page: Page| {
        let breaches = rule(&Source::parse(&page.text));
        breaches.into_iter().map(move |(line, what)| format!("{}:{line}: {what}", page.path)).collect::<Vec<_>>()
    };
    pages.flat_map(found).collect()
}

fn assert_none(found: &[String], why: &str) {
    assert!(found.is_empty(), "{why}:\n  {}", found.join("\n  "));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        rust_pages().into_iter().filter(|page| !page.text.starts_with("//! ")).map(|page| page.path).collect();
    assert_none(&silent, "a file begins with `//!`: what it is, what it promises, what it leaves to others");
}

#[test]
fn files_and_functions_are_short() {
    let mut long: Vec<String> = rust_pages()
        .into_iter()
        .map(|page| (page.text.lines().count(), page.path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{path}: {lines} lines, {LONGEST_FILE} is the limit"))
        .collect();
    long.extend(breaches(&[""], |source| rules::long_functions(source, LONGEST_FUNCTION)));
    assert_none(&long, "too long: find the idea in it that deserves a name of its own");
}

#[test]
fn tests_are_named_in_a_sentence() {
    let found = breaches(&[""], |source| rules::long_test_names(source, LONGEST_TEST_NAME));
    assert_none(&found, &format!("more than {LONGEST_TEST_NAME} words"));
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let banned = ["sqlx", "tokio", "Utc::now", "Local::now", "Instant::now", "SystemTime::now"];
    let found = breaches(&["src/engine/core/"], |source| rules::names(source, &banned));
    assert_none(&found, "the core is replayed and simulated: it gets times and records handed in");
}

#[test]
fn http_and_cli_never_name_a_store() {
    let found = breaches(&["src/http/", "src/cli/", "src/shop/"], |source| {
        rules::names(source, &["engine::store", "orders::store"])
    });
    assert_none(&found, "http and cli call `Engine`; only it knows the tables");
}

#[test]
fn http_never_names_the_worker() {
    let found = breaches(&["src/http/"], |source| rules::names(source, &["engine::worker"]));
    assert_none(&found, "an API process may have no worker at all");
}

#[test]
fn transactions_are_begun_in_one_place() {
    let mut found = breaches(&["src/", "examples/", "tests/embedding/src/"], rules::begins);
    found.retain(|line| !line.starts_with("src/engine/store/transaction.rs"));
    assert_none(
        &found,
        "a future that is dropped within it leaves a transaction open: use `begin(&pool)` or `engine.begin()`",
    );
}

#[test]
fn sql_stands_in_the_stores() {
    let allowed = |line: &str| {
        SQL_FLOORS.iter().any(|floor| line.starts_with(floor))
            || SQL_EXCEPTIONS.iter().any(|(path, _)| line.starts_with(&format!("{path}:")))
    };
    let found: Vec<String> = breaches(&["src/"], rules::sql).into_iter().filter(|line| !allowed(line)).collect();
    assert_none(&found, "SQL belongs into a store; if it must be elsewhere, list the file with its reason");
    for (path, _) in SQL_EXCEPTIONS {
        assert!(root().join(path).exists(), "{path} is listed as an exception and doesn't exist");
    }
}

#[test]
fn statements_leave_the_schemas_name_open() {
    let places = ["src/engine/store/", "src/orders/store/", "src/bench/"];
    let literals = |source: &Source| {
        let texts = source.strings.iter().filter(|(_, text)| rules::names_the_schema(text));
        texts.map(|(line, text)| (*line, text.chars().take(40).collect())).collect()
    };
    let mut found = breaches(&places, literals);
    found.retain(|line| !line.starts_with("src/engine/store/baseline.rs"));
    let files = pages(&["src", "migrations"], &["sql"]).into_iter().filter(|page| rules::names_the_schema(&page.text));
    found.extend(files.map(|page| page.path));
    assert_none(&found, "the schema is a setting: say {schema} in its place");
}

#[test]
fn intricate_statements_are_files_with_a_header() {
    // These put statements together: from a filter, or with a partition's name in them.
    let built = ["src/engine/store/search/", "src/engine/store/retention.rs", "src/engine/store/operations.rs"];
    let mut found = breaches(SQL_FLOORS, rules::intricate_sql);
    found.retain(|line| !built.iter().any(|place| line.starts_with(place)) && !line.contains("WITH page AS"));
    assert_none(&found, "a statement with a lock or a CTE is a file in sql/, whose header says why it is as it is");
    let silent = pages(SQL_FLOORS, &["sql"]).into_iter().filter(|page| !page.text.starts_with("-- "));
    let silent: Vec<String> = silent.map(|page| page.path).collect();
    assert_none(&silent, "a statement's file begins with what it does, who calls it, and why it is as it is");
}

#[test]
fn nothing_promises_the_impossible() {
    let found: Vec<String> =
        pages(&["src", "docs", "migrations", "README.md", "ARCHITECTURE.md", "examples"], &["rs", "md", "sql", "html"])
            .into_iter()
            .filter(|page| rules::promises_too_much(&page.text))
            .map(|page| page.path)
            .collect();
    assert_none(&found, "activities run at least once, outcomes are recorded once; other words for it are not used");
}

#[test]
fn reminders_name_an_issue() {
    let endings = ["rs", "md", "sql", "sh", "toml", "html", "js"];
    let places =
        ["src", "tests", "examples", "docs", "migrations", "scripts", "README.md", "ARCHITECTURE.md", "Cargo.toml"];
    let found: Vec<String> = pages(&places, &endings)
        .iter()
        .flat_map(|page| rules::loose_ends(&page.text).into_iter().map(|line| format!("{}:{line}", page.path)))
        .collect();
    assert_none(&found, "finish it, or write an issue and name it in brackets");
}

#[test]
fn migrations_are_numbered_and_named_by_effect() {
    let found: Vec<String> = pages(&["migrations"], &["sql"]).into_iter().map(|page| page.path).collect();
    for history in ["migrations/engine/", "migrations/shop/"] {
        let names: Vec<&str> = found.iter().filter_map(|path| path.strip_prefix(history)).collect();
        assert!(!names.is_empty(), "{history} has migrations");
        let misnamed = rules::misnamed_migrations(&names);
        assert_none(&misnamed, "a migration is called NNNN_what_it_does.sql, with a number of its own");
    }
}

#[test]
fn migrations_say_which_release_they_serve() {
    let found: Vec<String> = pages(&["migrations"], &["sql"])
        .into_iter()
        .filter(|page| rules::serves_nobody(&page.path, &page.text))
        .map(|page| page.path)
        .collect();
    assert_none(&found, "a migration's first line is `-- serves: N`, with the oldest release that it serves");
}

#[test]
fn every_error_code_is_explained() {
    let explained = fs::read_to_string(root().join("docs/errors.md")).expect("docs/errors.md can be read");
    let found: Vec<String> =
        breaches(&["src/"], rules::error_codes).into_iter().filter(|line| !is_mentioned(&explained, line)).collect();
    assert_none(&found, "docs/errors.md says what each code means and what to do, with the code in `backticks`");
}

fn last_word(breach: &str) -> &str {
    breach.rsplit(' ').next().unwrap_or(breach)
}

fn is_mentioned(text: &str, breach: &str) -> bool {
    text.contains(&format!("`{}`", last_word(breach)))
}
