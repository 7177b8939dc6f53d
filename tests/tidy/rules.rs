//! The rules as functions of a file's text, and the proof that each of them bites.

use crate::source::{Source, is_whole_word, word};

/// Functions with more lines than the limit, from `fn` to the closing brace.
pub(crate) fn long_functions(source: &Source, limit: usize) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut long = Vec::new();
    for (start, name) in words_after(code, "fn") {
        let Some(body) = body_of(&code[start..]) else { continue };
        let lines = 1 + code[start..start + body.end].matches('\n').count();
        if lines > limit {
            long.push((source.line_of(start), format!("fn {name} has {lines} lines, {limit} is the limit")));
        }
    }
    long
}

/// Tests whose names have more words than the limit.
pub(crate) fn long_test_names(source: &Source, limit: usize) -> Vec<(usize, String)> {
    let is_test = |at: usize| {
        let attributes = source.code[..at].rsplit([';', '{', '}']).next().unwrap_or_default();
        attributes.contains("#[test]") || attributes.contains("#[tokio::test")
    };
    let tests = words_after(&source.code, "fn").into_iter().filter(|(at, _)| is_test(*at));
    let long = tests.filter(|(_, name)| name.split('_').count() > limit);
    long.map(|(at, name)| (source.line_of(at), name.to_owned())).collect()
}

/// Uses of these names in code: not in comments or strings, and not as part of a longer word.
pub(crate) fn names(source: &Source, banned: &[&str]) -> Vec<(usize, String)> {
    let uses = |name: &&str| {
        let name = *name;
        let at = source.code.match_indices(name).map(|(at, _)| at);
        let whole = at.filter(move |at| is_whole_word(&source.code, *at, name.len()));
        whole.map(move |at| (source.line_of(at), format!("names {name}"))).collect::<Vec<_>>()
    };
    banned.iter().flat_map(uses).collect()
}

/// Transactions begun by sqlx itself: on anything but an engine.
pub(crate) fn begins(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let on_an_engine = |at: usize| {
        let receiver = code[..at].trim_end();
        receiver.ends_with("engine") || receiver.ends_with("self")
    };
    let begun = code.match_indices(".begin()").filter(|(at, _)| !on_an_engine(*at));
    let others = [".begin_with(", "Transaction::begin("].into_iter().flat_map(|call| code.match_indices(call));
    begun.chain(others).map(|(at, call)| (source.line_of(at), format!("calls {call}"))).collect()
}

/// Strings that begin like a statement. Upper case only, so that a sentence such as "Update the order" is none.
pub(crate) fn sql(source: &Source) -> Vec<(usize, String)> {
    const BEGINNINGS: &[&str] = &[
        "SELECT ",
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "WITH ",
        "CREATE ",
        "ALTER ",
        "DROP ",
        "TRUNCATE ",
        "LISTEN ",
        "NOTIFY ",
        "SET LOCAL ",
        "LOCK TABLE ",
        "COPY ",
        "BEGIN",
        "COMMIT",
        "VALUES (",
    ];
    let is_sql = |text: &str| {
        let words = text.replace("\\n", " ").replace("\\\n", " ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ") + " ";
        BEGINNINGS.iter().any(|beginning| words.starts_with(beginning))
            || words.contains("SELECT ") && words.contains(" FROM ")
    };
    let statements = source.strings.iter().filter(|(_, text)| is_sql(text));
    statements.map(|(line, text)| (*line, text.trim_start().chars().take(40).collect())).collect()
}

/// Whether a text uses the pair of words that no distributed system can keep, also across a line break or with a hyphen.
pub(crate) fn promises_too_much(text: &str) -> bool {
    let separators = |character: char| character.is_whitespace() || "-/*!#>`\"".contains(character);
    let words: Vec<String> = text.split(separators).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join(" ").contains(concat!("exactly", " ", "once"))
}

/// Lines (from 1) with a reminder that names no issue.
pub(crate) fn loose_ends(text: &str) -> Vec<usize> {
    const REMINDERS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let is_loose = |line: &str| {
        REMINDERS.iter().any(|reminder| {
            line.match_indices(reminder).any(|(at, _)| {
                is_whole_word(line, at, reminder.len()) && !line[at + reminder.len()..].starts_with("(#")
            })
        })
    };
    text.lines().enumerate().filter(|(_, line)| is_loose(line)).map(|(at, _)| at + 1).collect()
}

/// Whether a text writes out the name of the engine's schema in front of a table or function: `backstitch.run`.
pub(crate) fn names_the_schema(text: &str) -> bool {
    text.match_indices(concat!("backstitch", ".")).any(|(at, name)| {
        text[at + name.len()..].starts_with(|next: char| next.is_ascii_lowercase() || next == '"' || next == '%')
    })
}

/// Statements that take a lock or begin with a CTE, among a file's string literals.
pub(crate) fn intricate_sql(source: &Source) -> Vec<(usize, String)> {
    const SIGNS: &[&str] = &["FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE", "SKIP LOCKED"];
    let is_intricate = |text: &str| {
        SIGNS.iter().any(|sign| text.contains(sign)) || text.trim_start().starts_with("WITH ") && text.contains(" AS (")
    };
    let found = source.strings.iter().filter(|(_, text)| is_intricate(text));
    found.map(|(line, text)| (*line, text.trim_start().chars().take(40).collect())).collect()
}

/// Names that are not `NNNN_words.sql`, and numbers that are taken twice (`names` in order).
pub(crate) fn misnamed_migrations(names: &[&str]) -> Vec<String> {
    let is_right = |name: &str| {
        let parts = name.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        let is_word =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        parts.is_some_and(|(number, words)| {
            number.len() == 4
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && !words.is_empty()
                && words.chars().all(is_word)
        })
    };
    let same_number = |pair: &&[&str]| pair[0].split('_').next() == pair[1].split('_').next();
    let twice = names.windows(2).filter(same_number).map(|pair| pair[1].to_owned());
    names.iter().filter(|name| !is_right(name)).map(|name| (*name).to_owned()).chain(twice).collect()
}

/// Migrations from before the rule: they stay as they are, and serve their own release alone.
const SAY_NOTHING: [&str; 4] = [
    "engine/0020_visibility.sql",
    "engine/0030_started_slots.sql",
    "engine/0031_handed_on.sql",
    "shop/0020_internal_workflows_and_retention.sql",
];

/// Whether a migration of the time since releases overlap does not say, in its first line, which release it still serves.
pub(crate) fn serves_nobody(path: &str, text: &str) -> bool {
    let number: u32 = path.rsplit('/').next().and_then(|name| name.get(..4)?.parse().ok()).unwrap_or_default();
    let said = text.lines().next().and_then(|line| line.strip_prefix("-- serves: ")?.parse::<u32>().ok());
    number >= 20 && !SAY_NOTHING.iter().any(|old| path.ends_with(old)) && said.is_none_or(|serves| serves > number)
}

/// String literals inside functions called `code`: an error type gives its stable codes there.
pub(crate) fn error_codes(source: &Source) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    for (start, name) in words_after(&source.code, "fn") {
        if name == "code"
            && let Some(body) = body_of(&source.code[start..])
        {
            spans.push(source.line_of(start)..=source.line_of(start + body.end));
        }
    }
    let is_code = |text: &str| text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let codes =
        source.strings.iter().filter(|(line, text)| is_code(text) && spans.iter().any(|span| span.contains(line)));
    codes.cloned().collect()
}

/// Each `keyword name`, with the offset of the keyword.
fn words_after<'a>(code: &'a str, keyword: &str) -> Vec<(usize, &'a str)> {
    let length = keyword.len();
    let whole = code.match_indices(keyword).map(|(at, _)| at).filter(|at| is_whole_word(code, *at, length));
    whole.map(|at| (at, word(code[at + length..].trim_start()))).filter(|(_, name)| !name.is_empty()).collect()
}

/// From the first brace outside of brackets to the one that closes it; none for a function without a body.
fn body_of(signature: &str) -> Option<std::ops::Range<usize>> {
    let (mut brackets, mut braces, mut start) = (0_i32, 0_i32, None);
    for (at, character) in signature.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && start.is_none() => return None,
            '{' if brackets == 0 || start.is_some() => {
                start = start.or(Some(at));
                braces += 1;
            }
            '}' if start.is_some() => {
                braces -= 1;
                if braces == 0 {
                    return start.map(|start| start..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: Vec<(usize, String)>) -> Vec<usize> {
        found.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let source = Source::parse(
            "// sqlx\n/* /* sqlx */ sqlx */ let a = \"sqlx \\\" sqlx\"; let b = r#\"sqlx\"#;\nlet c = '\"'; sqlx::x::<'a>()",
        );
        assert_eq!(lines(names(&source, &["sqlx"])), [3]);
        assert_eq!(source.strings.len(), 2);
        assert_eq!(source.strings[1], (2, "sqlx".to_owned()));
    }

    #[test]
    fn a_name_inside_a_longer_one_is_another_name() {
        let source = Source::parse("my_sqlx(); sqlx_like(); sqlx::query();");
        assert_eq!(names(&source, &["sqlx"]).len(), 1);
    }

    #[test]
    fn only_an_engine_begins_transactions() {
        let source = Source::parse(
            "self.begin();\nmachine.begin(now);\n// pool.begin()\npool\n    .begin();\nself.pool().begin()",
        );
        assert_eq!(lines(begins(&source)), [5, 6]);
    }

    #[test]
    fn long_functions_are_found_despite_odd_braces() {
        let source =
            Source::parse("fn short(x: [u8; 2]) { \"}\"; }\nfn none();\nasync fn long() {\n\n if a {\n }\n}\n");
        assert_eq!(lines(long_functions(&source, 4)), [3]);
        assert!(long_functions(&source, 5).is_empty());
    }

    #[test]
    fn long_names_of_tests_are_found() {
        let source = Source::parse(
            "#[test]\nfn a_b() {}\n#[tokio::test(flavor = \"x\")]\nasync fn a_b_c() {}\nfn a_b_c_d() {}\n#[test]\n#[ignore]\nfn d_e_f() {}",
        );
        assert_eq!(lines(long_test_names(&source, 2)), [4, 8]);
    }

    #[test]
    fn statements_differ_from_sentences() {
        let source = Source::parse(
            "(\"Update the order\", \"UPDATE run SET x\",\n\"\\\n   SELECT 1\", r\"\n WITH a AS (x)\", \"with\")",
        );
        assert_eq!(lines(sql(&source)), [1, 2, 3]);
    }

    #[test]
    fn the_forbidden_words_are_found_across_lines() {
        assert!(promises_too_much(concat!("It runs Exactly", "\n/// once, they said.")));
        assert!(promises_too_much(concat!("exactly-", "once")));
        assert!(!promises_too_much("exactly one, once"));
    }

    #[test]
    fn reminders_need_an_issue() {
        let text = concat!("// TO", "DO: later\n// TO", "DO(#12): later\nTO", "DOS\n");
        assert_eq!(loose_ends(text), [1]);
    }

    #[test]
    fn migrations_are_named_by_number_and_effect() {
        assert!(misnamed_migrations(&["0001_engine.sql", "0010_add_orders.sql"]).is_empty());
        assert_eq!(misnamed_migrations(&["0001_engine.sql", "0001_again.sql"]), ["0001_again.sql"]);
        assert_eq!(misnamed_migrations(&["1_engine.sql", "0002-orders.sql"]).len(), 2);
    }

    #[test]
    fn migrations_say_whom_they_serve() {
        let silent = |path: &str, text: &str| serves_nobody(path, text);
        assert!(silent("migrations/engine/0020_a.sql", "-- A.") && silent("m/0020_a.sql", "-- A.\n-- serves: 3"));
        assert!(silent("m/0020_a.sql", "-- serves: 21") && silent("m/0020_a.sql", "-- serves: all"));
        assert!(!silent("m/0020_a.sql", "-- serves: 3\n-- A.") && !silent("m/0003_a.sql", "-- A."));
        assert!(!silent("migrations/engine/0031_handed_on.sql", "-- A."));
    }

    #[test]
    fn codes_are_collected() {
        let source = Source::parse(
            "fn code(&self) -> &str { match self { A => \"not_found\", B => \"Not a code\" } }\nfn x() { \"other\" }",
        );
        assert_eq!(error_codes(&source), [(1, "not_found".to_owned())]);
    }
}
