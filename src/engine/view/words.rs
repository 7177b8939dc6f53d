//! The words that read models use, as schemas. They come from the tables that the words themselves come from.

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
    one_of(std::iter::once("pending").chain(words))
}

/// A step's kind.
pub fn step_kind() -> Object {
    one_of(StepKind::ALL.iter().map(|kind| kind.word()))
}

/// A step's direction.
pub fn direction() -> Object {
    one_of(Direction::ALL.iter().map(|direction| direction.word()))
}

/// A step's outcome; null while it is open.
pub fn outcome() -> Object {
    let words = Outcome::ALL.iter().map(|outcome| serde_json::Value::from(outcome.word()));
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .enum_values(Some(words.chain([serde_json::Value::Null])))
        .build()
}

/// What a run waits for.
pub fn wait_kind() -> Object {
    one_of(WAITS.into_iter())
}

/// What became of a schedule's slot.
pub fn slot_outcome() -> Object {
    one_of(["started", "queued", "skipped", "missed", "refused"].into_iter())
}

/// Why something needs attention.
pub fn attention_kind() -> Object {
    one_of(ATTENTION_KINDS.into_iter())
}

/// What became of what an operator asked.
pub fn audit_outcome() -> Object {
    one_of(["done", "refused"].into_iter())
}

/// Who can move a run.
pub fn who() -> Object {
    one_of(["worker", "timer", "caller", "operator", "nobody"].into_iter())
}

fn one_of(words: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
