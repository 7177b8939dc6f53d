//! Step rows: which way each goes into the table, and its columns.

use serde::Serialize;
use sqlx::postgres::PgBindIterExt;

use super::{Commit, split_due, to_micros, to_small, to_text};
use crate::engine::{
    core::model::{Direction, Outcome, PastAttempt, RunId, Step, Time},
    error::Error,
    store::parts::Values,
};

type Rows<'a> = Vec<(RunId, &'a Step)>;

/// The steps of a flush.
#[derive(Default)]
pub(super) struct Steps<'a> {
    /// The hot case: ended ok with its first row, and nothing out of the ordinary to tell.
    pub(super) ended: Rows<'a>,
    /// All other new rows.
    pub(super) new: Rows<'a>,
    /// Rows that are there.
    pub(super) changed: Rows<'a>,
    /// Rows that may be there.
    pub(super) uncertain: Rows<'a>,
}

impl<'a> Steps<'a> {
    pub(super) fn push(&mut self, commit: &'a Commit) {
        for step in &commit.writes.steps {
            let rows = if commit.uncertain {
                &mut self.uncertain
            } else if step.recorded {
                &mut self.changed
            } else if is_plain(step) {
                &mut self.ended
            } else {
                &mut self.new
            };
            rows.push((commit.run, step));
        }
    }

    pub(super) fn bind_ended(&self, values: &mut Values) -> Result<(), Error> {
        let rows = || self.ended.iter();
        values.bind("s_run", rows().map(|(run, _)| *run).bind_iter())?;
        values.bind("s_seq", rows().map(|(_, step)| step.seq as i32).bind_iter())?;
        values.bind("s_kind", rows().map(|(_, step)| step.kind.code()).bind_iter())?;
        values.bind("s_name", rows().map(|(_, step)| &*step.name).bind_iter())?;
        values.bind("s_ord", rows().map(|(_, step)| step.ord.map(|ord| ord as i32)).bind_iter())?;
        values.bind("s_issued_after", rows().map(|(_, step)| step.issued_after as i32).bind_iter())?;
        values.bind("s_attempts", rows().map(|(_, step)| to_small(step.attempts)).bind_iter())?;
        values.bind("s_undoable", rows().map(|(_, step)| step.undoable).bind_iter())?;
        values.bind("s_input", rows().map(|(_, step)| step.input.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("s_output", rows().map(|(_, step)| step.output.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("s_took", rows().map(|(_, step)| to_micros(step.took)).bind_iter())
    }

    pub(super) fn bind_new(&self, values: &mut Values) -> Result<(), Error> {
        let rows = || self.new.iter();
        let steps = || rows().map(|(_, step)| *step);
        values.bind("n_run", rows().map(|(run, _)| *run).bind_iter())?;
        values.bind("n_seq", steps().map(|step| step.seq as i32).bind_iter())?;
        values.bind("n_direction", steps().map(|step| step.direction.code()).bind_iter())?;
        values.bind("n_kind", steps().map(|step| step.kind.code()).bind_iter())?;
        values.bind("n_name", steps().map(|step| &*step.name).bind_iter())?;
        values.bind("n_ord", steps().map(|step| step.ord.map(|ord| ord as i32)).bind_iter())?;
        values.bind("n_issued_after", steps().map(|step| step.issued_after as i32).bind_iter())?;
        values.bind("n_outcome", steps().map(|step| step.outcome.map(Outcome::code)).bind_iter())?;
        values.bind("n_attempts", steps().map(|step| to_small(step.attempts)).bind_iter())?;
        values.bind("n_generation", steps().map(|step| to_small(step.generation)).bind_iter())?;
        values.bind("n_undoable", steps().map(|step| step.undoable).bind_iter())?;
        values.bind("n_input", steps().map(|step| step.input.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("n_output", steps().map(|step| step.output.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("n_error", steps().map(|step| step.error.as_ref().and_then(to_text)).bind_iter())?;
        values.bind("n_details", steps().map(|step| step.details.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("n_due_at", steps().map(|step| split_due(step.due).0).bind_iter())?;
        values.bind("n_due_in", steps().map(|step| split_due(step.due).1).bind_iter())?;
        values.bind("n_next_attempt_at", steps().map(|step| step.next_attempt_at).bind_iter())?;
        values.bind("n_undo_after", steps().map(|step| list_of_numbers(&step.undo_after)).bind_iter())?;
        values.bind("n_log", steps().map(|step| list_of_texts(&step.log)).bind_iter())?;
        values.bind("n_took", steps().map(|step| to_micros(step.took)).bind_iter())
    }

    pub(super) fn bind_changed(&self, values: &mut Values) -> Result<(), Error> {
        let rows = || self.changed.iter();
        let steps = || rows().map(|(_, step)| *step);
        values.bind("o_run", rows().map(|(run, _)| *run).bind_iter())?;
        values.bind("o_seq", steps().map(|step| step.seq as i32).bind_iter())?;
        values.bind("o_direction", steps().map(|step| step.direction.code()).bind_iter())?;
        values.bind("o_ord", steps().map(|step| step.ord.map(|ord| ord as i32)).bind_iter())?;
        values.bind("o_outcome", steps().map(|step| step.outcome.map(Outcome::code)).bind_iter())?;
        values.bind("o_attempts", steps().map(|step| to_small(step.attempts)).bind_iter())?;
        values.bind("o_generation", steps().map(|step| to_small(step.generation)).bind_iter())?;
        values.bind("o_output", steps().map(|step| step.output.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("o_error", steps().map(|step| step.error.as_ref().and_then(to_text)).bind_iter())?;
        values.bind("o_details", steps().map(|step| step.details.as_ref().map(|json| json.get())).bind_iter())?;
        values.bind("o_next_attempt_at", steps().map(|step| step.next_attempt_at).bind_iter())?;
        values.bind("o_log", steps().map(|step| list_of_texts(&step.log)).bind_iter())?;
        values.bind("o_took", steps().map(|step| to_micros(step.took)).bind_iter())
    }

    pub(super) fn bind_uncertain(&self, values: &mut Values) -> Result<(), Error> {
        let rows: Vec<StepRow<'_>> = self.uncertain.iter().map(|(run, step)| StepRow::of(*run, step)).collect();
        let text = serde_json::to_string(&rows).map_err(|error| Error::Database(sqlx::Error::Encode(error.into())))?;
        values.bind("x_steps", text)
    }
}

fn is_plain(step: &Step) -> bool {
    step.outcome == Some(Outcome::Ok)
        && step.direction == Direction::Forward
        && step.generation == 0
        && step.error.is_none()
        && step.details.is_none()
        && step.due.is_none()
        && step.log.is_empty()
}

/// As Postgres writes an array, for there are no arrays of arrays of several lengths. None where it is empty.
fn list_of_numbers(numbers: &[u32]) -> Option<String> {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    (!numbers.is_empty()).then(|| format!("{{{}}}", numbers.join(",")))
}

/// The same of JSON texts.
fn list_of_texts(log: &[PastAttempt]) -> Option<String> {
    let quoted = |text: String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let texts: Vec<String> = log.iter().filter_map(to_text).map(quoted).collect();
    (!texts.is_empty()).then(|| format!("{{{}}}", texts.join(",")))
}

/// A step as flush.sql reads it from JSON. JSON columns are strings in it: Postgres reads the document as a whole, and would
/// refuse it for a NUL in a payload, which the columns take.
#[derive(Serialize)]
struct StepRow<'a> {
    run_id: RunId,
    seq: u32,
    direction: i16,
    kind: i16,
    name: &'a str,
    ord: Option<u32>,
    issued_after: u32,
    outcome: Option<i16>,
    attempts: i16,
    generation: i16,
    undoable: bool,
    input: Option<&'a str>,
    output: Option<&'a str>,
    error: Option<String>,
    details: Option<&'a str>,
    due_at: Option<Time>,
    due_in: Option<i64>,
    next_attempt_at: Option<Time>,
    undo_after: Option<&'a [u32]>,
    took: i64,
    attempt_log: Option<Vec<String>>,
}

impl<'a> StepRow<'a> {
    fn of(run: RunId, step: &'a Step) -> Self {
        let (due_at, due_in) = split_due(step.due);
        Self {
            run_id: run,
            seq: step.seq,
            direction: step.direction.code(),
            kind: step.kind.code(),
            name: &step.name,
            ord: step.ord,
            issued_after: step.issued_after,
            outcome: step.outcome.map(Outcome::code),
            attempts: to_small(step.attempts),
            generation: to_small(step.generation),
            undoable: step.undoable,
            input: step.input.as_ref().map(|json| json.get()),
            output: step.output.as_ref().map(|json| json.get()),
            error: step.error.as_ref().and_then(to_text),
            details: step.details.as_ref().map(|json| json.get()),
            due_at,
            due_in,
            next_attempt_at: step.next_attempt_at,
            undo_after: (!step.undo_after.is_empty()).then_some(&step.undo_after),
            took: to_micros(step.took),
            attempt_log: (!step.log.is_empty()).then(|| step.log.iter().filter_map(to_text).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_quoted_as_postgres_reads_them() {
        assert_eq!(list_of_numbers(&[3, 1]).as_deref(), Some("{3,1}"));
        assert_eq!((list_of_numbers(&[]), list_of_texts(&[])), (None, None));
        let attempt: PastAttempt = serde_json::from_str(
            r#"{"attempt":1,"outcome":"failed","started_at":null,"ended_at":"2026-11-21T00:00:00Z",
                "error":{"code":"no","message":"a \"quote\""}}"#,
        )
        .expect("an attempt");
        let list = list_of_texts(std::slice::from_ref(&attempt)).expect("a list");
        assert!(list.starts_with(r#"{"{\"attempt\":1"#) && list.contains(r#"a \\\"quote\\\""#), "{list}");
    }
}
