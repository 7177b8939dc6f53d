//! Values of the document as text, and text as HTML.

use serde_json::Value;

/// A text with `code` in backticks, as HTML.
pub(super) fn marked(text: &str) -> String {
    let mut html = String::new();
    for (index, piece) in text.split('`').enumerate() {
        let code = index % 2 == 1;
        html.push_str(if code { "<code>" } else { "" });
        for character in piece.chars() {
            match character {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                '"' => html.push_str("&quot;"),
                '\'' => html.push_str("&#39;"),
                other => html.push(other),
            }
        }
        html.push_str(if code { "</code>" } else { "" });
    }
    html
}

/// A value that is a text; empty where it is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A value that is a list; empty where it is none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_markup_is_no_markup() {
        assert_eq!(marked("a `b<c>` & d"), "a <code>b&lt;c&gt;</code> &amp; d");
        assert_eq!(marked("an `open one"), "an <code>open one</code>");
    }
}
