//! The words that read models use, as schemas. They come from the tables that the words themselves come from.

use serde_json::Value;
use utoipa::openapi::{
    Object, ObjectBuilder,
    schema::{SchemaType, Type},
};

use super::attention::ATTENTION_KINDS;
use crate::engine::core::model::{Direction, Outcome, Status, StepKind};

/// What a run can wait for.
const WAITS: [&str; 8] = ["timer", "signal", "retry", "queue", "worker", "hold", "operator", "start"];

/// A run's status.
pub fn run_status() -> Object {
    let words = Status::ALL.iter().map(|status| status.word());
    one_of("A run's status.", std::iter::once("pending").chain(words))
}

/// A step's kind.
pub fn step_kind() -> Object {
    one_of("What kind of thing the workflow asked for.", StepKind::ALL.iter().map(|kind| kind.word()))
}

/// A step's direction.
pub fn direction() -> Object {
    one_of("The step itself, or its undo.", Direction::ALL.iter().map(|direction| direction.word()))
}

/// A step's outcome; null while it is open.
pub fn outcome() -> Object {
    let words = Outcome::ALL.iter().map(|outcome| Value::from(outcome.word()));
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .enum_values(Some(words.chain([Value::Null])))
        .description(Some("How it ended; null while it is open. `unknown`: it may have had an effect."))
        .build()
}

/// What a run waits for.
pub fn wait_kind() -> Object {
    one_of("What kind of thing it waits for.", WAITS.into_iter())
}

/// Why something needs attention.
pub fn attention_kind() -> Object {
    one_of("Why it needs attention.", ATTENTION_KINDS.into_iter())
}

/// What came of what an operator asked for.
pub fn audit_outcome() -> Object {
    one_of("Whether it was done or refused.", ["done", "refused"].into_iter())
}

/// Whether a key is good.
pub fn key_state() -> Object {
    one_of("Whether it is good.", ["active", "expired", "revoked"].into_iter())
}

/// What became of a schedule's slot.
pub fn slot_outcome() -> Object {
    one_of("What became of it.", ["started", "queued", "skipped", "missed", "refused"].into_iter())
}

/// Who can move a run.
pub fn who() -> Object {
    one_of("Who can move it.", ["worker", "timer", "caller", "operator", "nobody"].into_iter())
}

fn one_of(says: &str, words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).description(Some(says)).build()
}
