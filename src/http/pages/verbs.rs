//! The verbs as pages show them: a button's word, what it means in a sentence, and what it can be told. Which of them a run
//! allows is the engine's to say; what is offered and then refused shows the refusal.

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
    /// What it can be told.
    pub(super) asks: Asks,
}

/// What a verb can be told beside a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing.
    Nothing,
    /// Another policy for what it tries again.
    Policy,
    /// Which step, and what the workflow is told that it gave.
    Skip,
    /// Which step, what it came to, and how the operator knows.
    Resolve,
    /// From which step, with which input.
    Fork,
    /// Which signal, with what.
    Signal,
}

const fn verb(word: &'static str, label: &'static str, asks: Asks, grave: bool, means: &'static str) -> Verb {
    Verb { word, label, means, grave, asks }
}

/// All of them, in the order of their buttons.
const VERBS: &[Verb] = &[
    verb(
        "retry",
        "Retry",
        Asks::Policy,
        false,
        "Tries again from the step that failed; the results of the steps before it are kept.",
    ),
    verb("resume", "Resume", Asks::Nothing, false, "Lets it go on. Timers go on with what was left of them."),
    verb(
        "pause",
        "Pause",
        Asks::Nothing,
        false,
        "Lets nothing more of it begin, and freezes its timers. What is under way ends.",
    ),
    verb(
        "skip",
        "Skip a step",
        Asks::Skip,
        true,
        "Passes over a step that has not succeeded, as if it had given this output.",
    ),
    verb("resolve", "Resolve a step", Asks::Resolve, true, "Declares what a step came to whose outcome nobody knows."),
    verb(
        "fork",
        "Fork",
        Asks::Fork,
        false,
        "Starts a new run that keeps the results of the steps before one, and does the rest again.",
    ),
    verb("signal", "Send a signal", Asks::Signal, false, "Puts a message into its inbox."),
    verb(
        "acknowledge",
        "Acknowledge",
        Asks::Nothing,
        false,
        "Takes it off the list of what needs attention. Nothing else changes.",
    ),
    verb("cancel", "Cancel", Asks::Nothing, true, "Stops the run and undoes what it did, unless it is past its pivot."),
    verb(
        "compensate",
        "Compensate",
        Asks::Nothing,
        true,
        "Undoes what the run did, the last first, wherever it stands.",
    ),
    verb(
        "abandon",
        "Abandon",
        Asks::Nothing,
        true,
        "Ends it as it stands. Nothing is undone, and what it holds stays held.",
    ),
];

/// The verb of this word.
pub(super) fn find(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.word == word)
}

/// Those of these words that have a button.
pub(super) fn offered(words: &[&str]) -> Vec<&'static Verb> {
    VERBS.iter().filter(|verb| words.contains(&verb.word)).collect()
}

/// An address that tells, on the page that it leads to, what was done.
pub(super) fn told(address: &str, word: &str) -> String {
    super::format::address(address, [(super::view::DONE, word)])
}

/// That something was done, as a sentence.
pub(super) fn done(word: &str) -> Option<String> {
    let sentence = match word {
        "hold" => "Held back. Workers learn of it within a second.",
        "release" => "Released. What was put aside goes on.",
        "delete" => "Deleted. Its runs stay.",
        "operation" => "Created. It goes on by itself, whether somebody looks or not.",
        _ => {
            let verb = find(word)?;
            return Some(format!(
                "{}: accepted and on record. What comes of it shows below as it happens.",
                verb.label
            ));
        }
    };
    Some(sentence.to_owned())
}
