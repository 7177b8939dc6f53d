//! The verbs as pages show them: a button's word, what it means in a sentence, and which states offer it. Whether a verb is
//! allowed is the engine's to say: what is offered here and refused there shows the refusal.

use crate::engine::Run;

/// A verb on one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verb {
    /// In addresses and in the audit.
    pub(super) word: &'static str,
    /// On its button.
    pub(super) label: &'static str,
    /// What it does, in a sentence.
    pub(super) means: &'static str,
    /// It can't be taken back, or it moves money.
    pub(super) grave: bool,
    /// The statuses that offer it.
    states: &'static [&'static str],
}

/// All of them, in the order of their buttons.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        word: "retry",
        label: "Retry",
        means: "Tries again from the step that failed. The results of the steps before it are kept.",
        grave: false,
        states: &["stuck", "failed"],
    },
    Verb {
        word: "cancel",
        label: "Cancel",
        means: "Stops the run and undoes what it did, unless it is past its pivot.",
        grave: true,
        states: &["pending", "running", "waiting", "stuck"],
    },
    Verb {
        word: "compensate",
        label: "Compensate",
        means: "Undoes what the run did, the last first, wherever it stands.",
        grave: true,
        states: &["pending", "running", "waiting", "stuck", "completed"],
    },
];

/// The verb of this word.
pub(super) fn find(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.word == word)
}

/// The verbs that a run's status offers.
pub(super) fn offered(run: &Run) -> Vec<&'static Verb> {
    VERBS.iter().filter(|verb| verb.states.contains(&run.status.as_str())).collect()
}

/// That a verb was accepted, as a sentence.
pub(super) fn done(word: &str) -> Option<String> {
    let verb = find(word)?;
    Some(format!("{}: accepted and on record. What comes of it shows below as it happens.", verb.label))
}
