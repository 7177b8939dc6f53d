//! What needs an operator's attention, and which of it has the same cause.
//!
//! A fingerprint groups: thousands of runs that fail at one step for one reason are one thing to mend. It goes by
//! workflow, step, code and the message without what differs from run to run (numbers, ids, quoted parts). It is stored and compared
//! by every process and every version, so it is a hash that is written down here, not one of the library's.

use std::sync::Arc;

use super::{model::Failure, words::words};

/// Attempts after which a step that still fails needs attention.
pub const RETRYING_AFTER: u32 = 5;

words! {
    /// Why something needs attention.
    AttentionKind, "kind of attention" {
        /// The run can't go on.
        Stuck = "stuck",
        /// It kills its workers.
        Poison = "poison",
        /// A step may have had an effect, and verification could not tell.
        Unknown = "unknown",
        /// An undo failed for good, and the run is stuck over it.
        UndoFailed = "undo_failed",
        /// Something failed that the run could do without.
        BestEffort = "best_effort",
        /// A step, or an undo, has been tried many times.
        Retrying = "retrying",
        /// No worker comes for it. Found by the clock when the list is read, never stored.
        Overdue = "overdue",
    }
}

impl AttentionKind {
    /// Why a run with this failure is stuck.
    pub fn of_stuck(failure: &Failure) -> Self {
        match failure.code.as_str() {
            "poison" => Self::Poison,
            "undo_failed" => Self::UndoFailed,
            _ => Self::Stuck,
        }
    }
}

/// Something that needs an operator's attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The step; none: the run as a whole.
    pub seq: Option<u32>,
    /// Why.
    pub kind: AttentionKind,
    /// What went wrong.
    pub failure: Failure,
    /// The name of the step that it went wrong at.
    pub step_name: Option<Arc<str>>,
    /// Equal for the same error at the same step of the same workflow.
    pub fingerprint: i64,
}

impl Attention {
    /// With its fingerprint.
    pub fn new(
        workflow: &str,
        seq: Option<u32>,
        kind: AttentionKind,
        failure: Failure,
        step_name: Option<Arc<str>>,
    ) -> Self {
        let step = step_name.as_deref().unwrap_or_default();
        let fingerprint = fingerprint(workflow, step, &failure.code, &failure.message);
        Self { seq, kind, failure, step_name, fingerprint }
    }
}

/// FNV-1a over what makes two errors the same. The numbers that the table holds: it must never change.
pub fn fingerprint(workflow: &str, step: &str, code: &str, message: &str) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |text: &str| {
        // A byte that no text has ends each part.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    take(workflow);
    take(step);
    take(code);
    take(&normalised(message));
    hash as i64
}

/// The message without what differs from run to run: quoted parts are `\"\"`, words with a digit in them `#`.
fn normalised(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut word = String::new();
    let mut quoted = None;
    for c in message.chars() {
        match quoted {
            Some(mark) if c == mark => {
                kept.push_str("\"\"");
                quoted = None;
            }
            Some(_) => {}
            None if c.is_alphanumeric() || c == '-' || c == '_' => word.push(c),
            None => {
                end_word(&mut word, &mut kept);
                if matches!(c, '"' | '`') {
                    quoted = Some(c);
                } else {
                    kept.push(c);
                }
            }
        }
    }
    end_word(&mut word, &mut kept);
    kept
}

fn end_word(word: &mut String, kept: &mut String) {
    if word.chars().any(|c| c.is_ascii_digit()) {
        kept.push('#');
    } else {
        kept.push_str(word);
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_does_not_count() {
        let of = |message: &str| fingerprint("order", "charge", "gateway_unavailable", message);
        let one = of("intent pi_19a2 of 0199d3f0-7f31-7aaa-8000-0123456789ab: HTTP 503 after 12.5 s, said \"busy 1\"");
        let other = of("intent pi_77 of 0199d3f0-ffff-7aaa-8000-0123456789ab: HTTP 500 after 0.1 s, said \"try 2\"");
        assert_eq!(one, other);
        assert_ne!(one, of("intent pi_77: no answer"));
        assert_ne!(of(""), fingerprint("order", "refund", "gateway_unavailable", ""));
        assert_ne!(fingerprint("a", "b", "", ""), fingerprint("ab", "", "", ""));
    }

    #[test]
    fn a_fingerprint_is_the_same_for_ever() {
        assert_eq!(fingerprint("order", "charge", "timeout", "took 5 s"), FIXED);
        assert_eq!(normalised("it's `x` at 12:30, id 9f-2"), "it's \"\" at #:#, id #");
    }

    /// As it was the first time that this was written down.
    const FIXED: i64 = -726_109_026_269_057_513;
}
