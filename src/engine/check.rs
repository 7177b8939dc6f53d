//! What may come in, by whatever way: one rule per kind of value, for REST, command line, library, webhooks and schedules.
//!
//! What passes here Postgres can store and every reader can show: text without NUL, moments that RFC 3339 and Postgres both
//! have, JSON that `jsonb` and common parsers take.

use chrono::Datelike;

use super::{core::model::Time, error::Error};

/// The deepest nesting of a payload. Common parsers stop at 128 levels; the rest is for the envelopes that it travels in.
pub const DEEPEST_JSON: usize = 120;

fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::InvalidField { field: field.to_owned(), message: message.into() }
}

/// Text of up to so many characters; it may be empty.
///
/// # Errors
/// `invalid_request` with the field.
pub fn check_text(field: &str, text: &str, longest: usize) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(invalid(field, "it has a NUL character"));
    }
    // Most texts are short: no need to count those.
    if text.len() > longest && text.chars().count() > longest {
        return Err(invalid(field, format!("it is too long; at most {longest} characters are taken")));
    }
    Ok(())
}

/// The same, and not blank.
///
/// # Errors
/// `invalid_request` with the field.
pub fn check_filled(field: &str, text: &str, longest: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(invalid(field, format!("it is empty; 1 to {longest} characters are taken")));
    }
    check_text(field, text, longest)
}

/// The same, and on one line: no control characters.
///
/// # Errors
/// `invalid_request` with the field.
pub fn check_label(field: &str, text: &str, longest: usize) -> Result<(), Error> {
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "it has control characters"));
    }
    check_filled(field, text, longest)
}

/// A moment between the years 1 and 9999.
///
/// # Errors
/// `invalid_request` with the field.
pub fn check_time(field: &str, at: Time) -> Result<(), Error> {
    if (1..=9999).contains(&at.year()) { Ok(()) } else { Err(invalid(field, "the years 1 to 9999 are taken")) }
}

/// JSON that is not nested deeper than [`DEEPEST_JSON`] and has neither NUL nor half a surrogate pair in its strings. It
/// has been read as JSON before: this looks at nothing else.
///
/// # Errors
/// `invalid_request` with the field.
pub fn check_json(field: &str, json: &str) -> Result<(), Error> {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => at += check_escape(field, bytes, at)?,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEEPEST_JSON {
                    return Err(invalid(field, format!("it is nested deeper than {DEEPEST_JSON} levels")));
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// How long the rest of an escape is, after its backslash.
fn check_escape(field: &str, bytes: &[u8], at: usize) -> Result<usize, Error> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
        u16::from_str_radix(std::str::from_utf8(&digits[2..]).ok()?, 16).ok()
    };
    if bytes.get(at) != Some(&b'u') {
        return Ok(1);
    }
    match unit(at - 1) {
        Some(0) => Err(invalid(field, "it has a NUL character (\\u0000)")),
        Some(0xD800..=0xDBFF) if matches!(unit(at + 5), Some(0xDC00..=0xDFFF)) => Ok(11),
        Some(0xD800..=0xDFFF) => Err(invalid(field, "it has half a surrogate pair (\\ud800 to \\udfff)")),
        _ => Ok(5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_nul_and_no_half_pair() {
        let ok = |json: &str| check_json("f", json).is_ok();
        for good in [r#""\ud83d\ude00""#, r#""\\u0000""#, r#"{"a\"[[":"]"}"#, r#""\u00e9\\""#, "1", r#""\\\\""#] {
            assert!(ok(good), "{good}");
        }
        for bad in [r#""\u0000""#, r#"{"\u0000":1}"#, r#""\ud800""#, r#""\ude00\ud83d""#, r#""\ud83dx\ude00""#] {
            assert!(!ok(bad), "{bad}");
        }
        assert!(!ok(r#""\ud83d\n""#) && !ok(r#""\ud83d\ud83d\ude00""#) && !ok(r#""\\\u0000""#));
    }

    #[test]
    fn json_is_as_deep_as_readers_take() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(check_json("f", &deep(DEEPEST_JSON)).is_ok());
        assert!(check_json("f", &deep(DEEPEST_JSON + 1)).is_err());
        assert!(check_json("f", &format!("[{}0]", "[0],".repeat(1000))).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&format!("[[{}]]", deep(DEEPEST_JSON))).is_ok());
    }

    #[test]
    fn a_moment_has_a_year_of_four_digits() {
        let taken = |text: &str| check_time("f", text.parse().expect("a time")).is_ok();
        assert!(taken("0001-01-01T00:00:00Z") && taken("9999-12-31T23:59:59Z"));
        for bad in ["-0001-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "-262143-01-01T00:00:00Z"] {
            assert!(!taken(bad), "{bad}");
        }
        assert!(!taken("0000-12-31T23:59:59Z") && !taken("+262142-12-31T23:59:59Z"));
    }

    #[test]
    fn text_is_bounded_and_has_no_nul() {
        assert!(check_text("f", "", 3).is_ok() && check_text("f", "äöü", 3).is_ok());
        assert!(check_text("f", "äöüß", 3).is_err() && check_text("f", "a\0", 3).is_err());
        assert!(check_filled("f", " \n", 3).is_err() && check_label("f", "a\nb", 3).is_err());
        let error = check_text("items[0].sku", "\0", 3).map_err(|error| (error.code(), error.to_string()));
        assert_eq!(error, Err(("invalid_request", "items[0].sku: it has a NUL character".to_owned())));
    }
}
