//! What was just done, as a sentence on the page that a form leads to. The verb's word is in the address, once.

use super::{address::DONE, links, verbs};

/// An address whose page says that this was done.
pub(super) fn with_notice(address: &str, word: &str) -> String {
    links::address(address, [(DONE, word)])
}

/// The sentence for a verb's word.
pub(super) fn sentence(word: &str) -> Option<String> {
    let sentence = match word {
        "hold" => "Held back. Workers learn of it within a second.",
        "release" => "Released. Waiting work goes on.",
        "delete" => "Deleted. Its runs stay.",
        "set" => "Set. All processes know within seconds.",
        "discarded" => "Discarded. Nothing comes of it.",
        "started" | "signalled" | "ignored" => "Done. This page shows what came of it.",
        "begun" => "Begun. A run does it; this page shows when it is done.",
        "operation" => "Created. It goes on by itself, even if you close this page.",
        _ => {
            let label = verbs::find(verbs::OF_RUNS, word)?.label;
            return Some(format!("{label}: accepted and on record. The results appear below as they happen."));
        }
    };
    Some(sentence.to_owned())
}
