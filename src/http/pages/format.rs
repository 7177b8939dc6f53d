//! How values look on a page: times, spans, statuses, payloads. Pure text in, HTML out; what comes from
//! outside is escaped here.

use std::fmt;

use chrono::SecondsFormat;
use uuid::Uuid;

use crate::engine::{Json, Time};

/// HTML that is safe to put into a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// Text escaped for an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A moment, which the script shows as a span from now. Without a script it is the moment itself.
pub fn when(at: &Time) -> Html {
    let (exact, words) = (at.to_rfc3339_opts(SecondsFormat::Millis, true), moment(at));
    Html(format!(r#"<time datetime="{exact}" title="{words}" data-ago>{words}</time>"#))
}

/// The same where there may be none.
pub fn when_any(at: impl std::borrow::Borrow<Option<Time>>) -> Html {
    let at = at.borrow();
    at.as_ref().map_or_else(|| Html("–".to_owned()), when)
}

/// A moment in words.
pub(super) fn moment(at: &Time) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The time from one moment to another. While there is no end it is a dash: the time until now would change all the time.
pub(super) fn between(from: &Option<Time>, to: &Option<Time>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => span((*to - *from).num_milliseconds()),
        _ => "–".to_owned(),
    }
}

/// A span of time, in two units at most.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    match ms {
        i64::MIN..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A status or outcome: a mark and its word.
pub(super) fn badge(status: &str) -> Html {
    let class = if OUTCOMES.contains(&status) { "o" } else { "s" };
    let word = escape(status);
    Html(format!(r#"<span class="badge {class}-{word}">{}{word}</span>"#, mark(status)))
}

const OUTCOMES: &[&str] = &["ok", "unknown", "skipped", "done", "refused", "missed", "open"];

/// A small drawing per status, so that statuses differ by shape and not only by colour.
fn mark(status: &str) -> String {
    let stroke = |path: &str| {
        format!(
            r#"<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>"#
        )
    };
    let ring = r#"<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.6"/>"#;
    let drawing = match status {
        "running" | "active" => r#"<path d="M3.5 2.5 9.5 6 3.5 9.5z" fill="currentColor"/>"#.to_owned(),
        "waiting" | "queued" => format!("{ring}{}", stroke("M6 4v2.2l1.4.8")),
        "paused" => stroke("M4 3v6M8 3v6"),
        "compensating" | "compensated" => stroke("M5 2.5 2.5 5 5 7.5M2.5 5h4.2a2.3 2.3 0 0 1 0 4.6H5"),
        "stuck" | "unknown" | "missed" | "attention" => stroke("M6 2.2v4.6M6 9.6v.1"),
        "completed" | "ok" | "done" | "started" => stroke("M2.5 6.5 5 9l4.5-6"),
        "failed" | "refused" => stroke("M3 3l6 6M9 3l-6 6"),
        "abandoned" | "cancelled" | "skipped" => format!("{ring}{}", stroke("M3.2 8.8l5.6-5.6")),
        _ => ring.to_owned(),
    };
    format!(r#"<svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true">{drawing}</svg>"#)
}

/// The end of an id: ids begin with the time, so it is their ends that differ.
pub fn short(id: &Uuid) -> String {
    let text = id.simple().to_string();
    format!("…{}", &text[text.len() - 8..])
}

/// A number with its thousands apart.
pub(super) fn count(number: impl std::borrow::Borrow<i64>) -> String {
    let number = *number.borrow();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// One or many of something.
pub(super) fn plural(number: impl std::borrow::Borrow<usize>, one: &str, many: &str) -> String {
    let number = *number.borrow();
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// As much as one payload takes of a page, in bytes, where there are few of them.
pub(super) const LONGEST_PAYLOAD: usize = 64 * 1024;

/// The same of what an entry of the audit says was before and after: a page has many of them.
pub(super) const AUDIT_ROOM: usize = 8 * 1024;

/// What all payloads of a page take together.
const ALL_PAYLOADS: usize = 2 * 1024 * 1024;

/// Deeper levels are not indented further.
const DEEPEST_INDENT: usize = 24;

/// How much of each payload a page with so many of them shows.
pub(super) fn room(payloads: usize) -> usize {
    (ALL_PAYLOADS / payloads.max(1)).clamp(512, LONGEST_PAYLOAD)
}

/// JSON with line breaks, up to about `most` bytes of it. Works on the text, so that large numbers and the order of fields
/// stay as they are.
pub(super) fn pretty(json: &Json, most: usize) -> String {
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    let mut characters = json.get().chars().peekable();
    while let Some(character) = characters.next() {
        if text.len() >= most {
            let size = json.get().len();
            text.push_str(&format!(
                "\n… the rest is left out here; it has {size} bytes in all (backstitch run show -o json)"
            ));
            break;
        }
        if in_string {
            text.push(character);
            (in_string, escaped) = (escaped || character != '"', !escaped && character == '\\');
            continue;
        }
        match character {
            '"' => {
                in_string = true;
                text.push('"');
            }
            '{' | '[' => {
                text.push(character);
                while characters.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    characters.next();
                }
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(close);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(character);
            }
            ',' => {
                text.push(',');
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            space if space.is_ascii_whitespace() => {}
            other => text.push(other),
        }
    }
    text
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(DEEPEST_INDENT)));
}

/// The pretty form where there is a payload.
pub(super) fn pretty_any(json: &Option<Json>, most: usize) -> String {
    json.as_ref().map(|json| pretty(json, most)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::to_json;

    fn json(text: &str) -> Json {
        serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON").into()
    }

    #[test]
    fn a_payload_keeps_numbers_order_and_strings() {
        let text = r#"{"b":12345678901234567890123,"a":"x \" {,:} y","e":{},"l":[1, 2]}"#;
        let expected = "{\n  \"b\": 12345678901234567890123,\n  \"a\": \"x \\\" {,:} y\",\n  \"e\": {},\n  \"l\": [\n    1,\n    2\n  ]\n}";
        assert_eq!(pretty(&json(text), LONGEST_PAYLOAD), expected);
        assert_eq!(pretty(&to_json(&"\\").expect("JSON"), LONGEST_PAYLOAD), r#""\\""#);
    }

    #[test]
    fn a_payload_takes_no_more_than_its_room() {
        let deep = json(&("[".repeat(50_000) + &"]".repeat(50_000)));
        let wide = json(&format!("[{}0]", "0,".repeat(500_000)));
        let long = json(&format!("\"{}\"", "ä".repeat(500_000)));
        for payload in [&deep, &wide, &long] {
            for payloads in [1, 40, 10_000] {
                let shown = pretty(payload, room(payloads)).len();
                assert!(shown <= room(payloads) + 250, "{shown} bytes of {}", payload.get().len());
            }
        }
        assert!(room(1) == LONGEST_PAYLOAD && room(1000) * 1000 <= ALL_PAYLOADS);
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        assert_eq!(escape("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        assert!(!badge("<b>").to_string().contains("<b>"));
    }

    #[test]
    fn spans_and_amounts_are_written_as_people_do() {
        assert_eq!(
            [span(12), span(1250), span(61_000), span(3_700_000), span(90_000_000)],
            ["12 ms", "1.2 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
