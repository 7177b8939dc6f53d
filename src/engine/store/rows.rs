//! Step rows, both ways: the only place that knows the columns of `step`.

use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

use serde_json::value::RawValue;
use sqlx::{Row, postgres::PgRow};

use crate::engine::core::{
    model::{Direction, Due, Json, Outcome, Step, StepKind, Time},
    words::UnknownWord,
};

/// The columns that [`read_step`] reads, in its order.
macro_rules! step_columns {
    () => {
        "run_id, seq, direction, kind, name, ord, issued_after, outcome, attempts, generation, \
    undoable, input::text AS input, output::text AS output, error::text AS error, details::text AS details, due_at, \
    next_attempt_at, undo_after, policy::text AS policy, started_at"
    };
}
pub(super) use step_columns;

/// A JSON column read as text.
pub(crate) fn parse_json(text: Option<String>) -> Option<Json> {
    // The column is of type json, so the text parses; where it would not, nobody could use it anyway.
    text.and_then(|text| RawValue::from_string(text).ok()).map(Arc::from)
}

/// A text as a text column takes it: Postgres has none with a NUL, which a JSON column takes as it is.
pub(crate) fn make_storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A text column that holds one of an enum's words.
pub(crate) fn read_word<T: FromStr<Err = UnknownWord>>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    parse_word(row.try_get(column)?, column)
}

/// The same, where the column may be null.
pub(crate) fn word_or_null<T: FromStr<Err = UnknownWord>>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    row.try_get::<Option<&str>, _>(column)?.map(|text| parse_word(text, column)).transpose()
}

fn parse_word<T: FromStr<Err = UnknownWord>>(text: &str, column: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}

/// A step from its row.
pub(crate) fn read_step(row: &PgRow) -> Result<Step, sqlx::Error> {
    let number = |column: &str| row.try_get::<i32, _>(column).map(|n| n as u32);
    let code = |column: &str| row.try_get::<i16, _>(column);
    let decode = |column: &str| sqlx::Error::Decode(format!("step.{column} holds a number that means nothing").into());
    let error: Option<String> = row.try_get("error")?;
    let policy: Option<String> = row.try_get("policy")?;
    Ok(Step {
        seq: number("seq")?,
        direction: Direction::from_code(code("direction")?).ok_or_else(|| decode("direction"))?,
        kind: StepKind::from_code(code("kind")?).ok_or_else(|| decode("kind"))?,
        name: row.try_get::<String, _>("name")?.into(),
        ord: row.try_get::<Option<i32>, _>("ord")?.map(|ord| ord as u32),
        issued_after: number("issued_after")?,
        outcome: row.try_get::<Option<i16>, _>("outcome")?.and_then(Outcome::from_code),
        attempts: code("attempts")? as u32,
        generation: code("generation")? as u32,
        undoable: row.try_get("undoable")?,
        input: parse_json(row.try_get("input")?),
        output: parse_json(row.try_get("output")?),
        error: error.and_then(|text| serde_json::from_str(&text).ok()),
        details: parse_json(row.try_get("details")?),
        due: row.try_get::<Option<Time>, _>("due_at")?.map(Due::At),
        next_attempt_at: row.try_get("next_attempt_at")?,
        undo_after: row
            .try_get::<Option<Vec<i32>>, _>("undo_after")?
            .unwrap_or_default()
            .iter()
            .map(|n| *n as u32)
            .collect(),
        policy: policy.and_then(|text| serde_json::from_str(&text).ok()).map(Arc::new),
        started_at: row.try_get("started_at")?,
        took: Duration::ZERO,
        log: Vec::new(),
        recorded: true,
    })
}
