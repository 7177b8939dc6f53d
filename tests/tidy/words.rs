//! Words that are no longer used, so that one idea keeps one word.
//!
//! A retired word is looked for as a whole identifier in Rust code and statements (migrations are history); comments and
//! strings are held to plain English by [`crate::prose`]. A word may come back only with the reason, here.

use crate::{
    assert_none, pages,
    source::{Source, is_whole_word},
};

const COMMAND: &str = "what workflow code emits is a command";
const COMPLETION: &str = "what replay hands back is a completion";
const VERB: &str = "what an operator asks for is a verb, `action` on the wire";
const SEARCH: &str = "lists and look-ups are `search`; a verification's answer is `Verified`";

/// Words that were used for an idea, and what is used now.
const RETIRED: &[(&[&str], &str)] = &[
    (&["Ask", "Asks", "asks"], COMMAND),
    (&["Asked", "asked"], COMMAND),
    (&["told_count", "heard"], COMPLETION),
    (&["Told", "told"], COMPLETION),
    (&["Act", "Acts", "act", "acts"], "a worker's follow-up, or an operator's verb"),
    (&["Wish", "wish"], VERB),
    (&["operate"], VERB),
    (&["Holding", "holding"], "a run in a worker's hands is an active run, reserved stock a reservation"),
    (&["Finding", "Found"], SEARCH),
    (&["finding"], SEARCH),
    (&["Exceptional", "exceptional"], "the index of runs that are failing, stuck or compensating is `unhealthy`"),
    (&["lets_go", "let_go", "takes_back", "take_back"], "runs are released, reservations withdrawn"),
    (&["rests"], "a run parks"),
];

/// How often these words stand as whole identifiers, by line.
fn uses(code: &str, words: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in code.lines().enumerate() {
        for word in words {
            let whole = text.match_indices(word).filter(|(at, _)| is_whole_word(text, *at, word.len()));
            found.extend(whole.map(|_| (line + 1, (*word).to_owned())));
        }
    }
    found
}

/// A statement without its comments.
fn without_sql_comments(text: &str) -> String {
    let code = text.lines().map(|line| line.find("--").map_or(line, |at| &line[..at]));
    code.collect::<Vec<_>>().join("\n")
}

#[test]
fn retired_words_stay_away() {
    let rust = pages(&["src", "tests", "examples"], &["rs"]).into_iter().map(|page| {
        let code = Source::parse(&page.text).code;
        (page.path, code)
    });
    let sql = pages(&["src"], &["sql"]).into_iter();
    let sql = sql.map(|page| (page.path, without_sql_comments(&page.text)));
    let all: Vec<(String, String)> = rust.chain(sql).collect();
    for (words, instead) in RETIRED {
        let found: Vec<String> = all
            .iter()
            .flat_map(|(path, code)| {
                uses(code, words).into_iter().map(move |(line, word)| format!("{path}:{line}: {word}"))
            })
            .collect();
        assert_none(&found, &format!("retired: {instead}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_word_is_a_whole_identifier_in_code() {
        let source = Source::parse("// wish\nlet wish = \"wish\"; wishful(wish);\n");
        assert_eq!(uses(&source.code, &["wish"]), [(2, "wish".to_owned()), (2, "wish".to_owned())]);
    }

    #[test]
    fn comments_in_sql_are_not_code() {
        assert!(uses(&without_sql_comments("-- wish\nSELECT 1 -- wish"), &["wish"]).is_empty());
        assert_eq!(uses(&without_sql_comments("SELECT wish -- no"), &["wish"]).len(), 1);
    }
}
