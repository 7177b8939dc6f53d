//! The server's answers. As JSON they pass through unread; tables read them as the very types that the server makes them of.
//!
//! A newer server may answer more: fields that this version doesn't know are ignored. A status or kind that it doesn't know
//! is an error, because no sentence here would be right for it; `-o json` still shows the answer.

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::output::{Out, tell};
use crate::engine::Slice;

/// Reads an answer.
///
/// # Errors
/// If it has a form that this version doesn't know.
pub(super) fn read<T: DeserializeOwned>(answer: &Value) -> anyhow::Result<T> {
    T::deserialize(answer)
        .context("the server's answer has an unknown form: is the server newer? `-o json` shows it as it is")
}

/// Prints an answer: as it came, or as the text that `render` makes of it. Gives what was read of it, none for JSON.
pub(super) fn show<T: DeserializeOwned>(
    answer: &Value,
    out: Out,
    render: impl FnOnce(&T) -> String,
) -> anyhow::Result<Option<T>> {
    let known = if out.json() { None } else { Some(read(answer)?) };
    out.show(answer, || known.as_ref().map(render).unwrap_or_default())?;
    Ok(known)
}

/// The same for a list; an empty one is said to be `empty`. Gives its items, none for JSON.
pub(super) fn show_list<T: DeserializeOwned>(
    answer: &Value,
    out: Out,
    empty: &str,
    render: impl FnOnce(&[T]) -> String,
) -> anyhow::Result<Vec<T>> {
    if out.json() {
        out.show(answer, String::new)?;
        return Ok(Vec::new());
    }
    let slice: Slice<T> = read(answer)?;
    if slice.items.is_empty() {
        tell(empty);
        return Ok(slice.items);
    }
    out.show(&(), || render(&slice.items))?;
    if let Some(cursor) = slice.next_cursor {
        tell(format!("more with --cursor {cursor}"));
    }
    Ok(slice.items)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::Hold;

    #[test]
    fn a_newer_answer_is_read_or_refused_with_advice() {
        let mut hold =
            json!({"kind": "queue", "name": "mail", "actor": "a", "reason": "r", "since": "2026-01-01T00:00:00Z"});
        hold["added_later"] = json!(1);
        assert_eq!(read::<Hold>(&hold).expect("a hold").name, "mail");
        hold["kind"] = json!("tenant");
        let error = format!("{:#}", read::<Hold>(&hold).expect_err("no such kind"));
        assert!(error.contains("`-o json`") && error.contains("there is no kind tenant"), "{error}");
    }
}
