//! The verbs as buttons: a label, what the verb does in a sentence, and which inputs it takes. The engine decides which of
//! them a run allows; a form for one that it does not allow shows the refusal.

use crate::http::problem::Problem;

/// A verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerbButton {
    /// In addresses and in the audit.
    pub(super) word: &'static str,
    /// On its button.
    pub(super) label: &'static str,
    /// What it does, in a sentence.
    pub(super) means: &'static str,
    /// It can't be undone, or it moves money.
    pub(super) grave: bool,
    /// What it takes.
    pub(super) inputs: Inputs,
}

/// What a verb takes beside a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inputs {
    /// Nothing.
    Nothing,
    /// Another policy for the steps that it tries again.
    Policy,
    /// Which step, and the output that the workflow gets.
    Skip,
    /// Which step, its outcome, and how the operator knows.
    Resolve,
    /// From which step, with which input.
    Fork,
    /// Which signal, with which payload.
    Signal,
}

impl Inputs {
    /// Whether the form asks for a step.
    pub(super) const fn has_step(self) -> bool {
        matches!(self, Self::Skip | Self::Resolve | Self::Fork)
    }
}

const fn verb(word: &'static str, label: &'static str, means: &'static str) -> VerbButton {
    VerbButton { word, label, means, grave: false, inputs: Inputs::Nothing }
}

impl VerbButton {
    const fn grave(self) -> Self {
        Self { grave: true, ..self }
    }

    const fn takes(self, inputs: Inputs) -> Self {
        Self { inputs, ..self }
    }
}

/// The verbs on one run, in the order of their buttons.
pub(super) const OF_RUNS: &[VerbButton] = &[
    verb("retry", "Retry", "Tries again from the step that failed, with the results of the steps before it.")
        .takes(Inputs::Policy),
    verb("resume", "Resume", "Lets the run go on. Its timers keep the time that was left."),
    verb("pause", "Pause", "Starts nothing more of the run and freezes its timers. Attempts under way finish."),
    verb("skip", "Skip a step", "Passes over a step that has not succeeded, as if it had returned this output.")
        .takes(Inputs::Skip)
        .grave(),
    verb("resolve", "Resolve a step", "Declares the outcome of a step whose outcome is unknown.")
        .takes(Inputs::Resolve)
        .grave(),
    verb("fork", "Fork", "Starts a new run that keeps the results of the steps before one, and does the rest again.")
        .takes(Inputs::Fork),
    verb("signal", "Send a signal", "Puts a message into the run's inbox.").takes(Inputs::Signal),
    verb("acknowledge", "Acknowledge", "Takes the run off the list of what needs attention. Nothing else changes."),
    verb("cancel", "Cancel", "Stops the run and undoes what it did, unless it is past its pivot.").grave(),
    verb("compensate", "Compensate", "Undoes what the run did, last step first, whatever its status.").grave(),
    verb("abandon", "Abandon", "Ends the run as it stands. Nothing is undone, and what it reserved stays reserved.")
        .grave(),
];

/// The verbs that make sense for many runs at a time.
pub(super) const IN_BULK: [&str; 6] = ["retry", "pause", "resume", "acknowledge", "cancel", "compensate"];

/// The verbs on a bulk operation.
pub(super) const OF_OPERATIONS: &[VerbButton] = &[
    verb("pause", "Pause", "Stops it for now, between two runs."),
    verb("resume", "Resume", "Goes on with the runs that are left."),
    verb("cancel", "Cancel", "Ends it. Finished runs stay as they are, the others are not touched.").grave(),
];

/// The verbs on a schedule.
pub(super) const OF_SCHEDULES: &[VerbButton] = &[
    verb(
        "pause",
        "Pause",
        "Starts no run until it is resumed. Its catch-up policy then decides about the slots it missed.",
    ),
    verb("resume", "Resume", "Starts runs at its slots again. Its catch-up policy decides about the slots it missed."),
    verb("run", "Run now", "Starts a run now, beside its slots and whatever its overlap policy says."),
    verb("delete", "Delete", "Removes the schedule and the record of its slots. Its runs stay.").grave(),
];

/// The verbs on a parked event from outside.
pub(super) const OF_RECEIVED: &[VerbButton] = &[
    verb("retry", "Retry", "Does what the rules of its source say now. If that is refused, it stays parked."),
    verb("discard", "Discard", "Nothing comes of it, also if its source sends it again. Its body is deleted.").grave(),
];

/// The verb of this word, of a table.
pub(super) fn find(table: &'static [VerbButton], word: &str) -> Option<&'static VerbButton> {
    table.iter().find(|verb| verb.word == word)
}

/// The same for a word in an address.
pub(super) fn require(table: &'static [VerbButton], word: &str) -> Result<&'static VerbButton, Problem> {
    find(table, word).ok_or_else(|| Problem::new("unknown_route", format!("there is no verb {word} here")))
}

/// The verbs on a run whose words are among these.
pub(super) fn offered(words: &[&str]) -> Vec<&'static VerbButton> {
    OF_RUNS.iter().filter(|verb| words.contains(&verb.word)).collect()
}
