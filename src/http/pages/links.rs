//! Addresses as text: how they are put together, encoded and decoded. Templates add the base with `href`.

use std::fmt::Write;

/// An address: path and parameters, without the empty ones.
pub(super) fn address<N: AsRef<str>, V: AsRef<str>>(path: &str, params: impl IntoIterator<Item = (N, V)>) -> String {
    let mut text = path.to_owned();
    let mut mark = '?';
    for (name, value) in params {
        if !value.as_ref().is_empty() {
            let _ = write!(text, "{mark}{}={}", encode(name.as_ref()), encode(value.as_ref()));
            mark = '&';
        }
    }
    text
}

/// Percent-encodes one segment of a path.
pub(super) fn encode_segment(text: &str) -> String {
    encode(text).replace('/', "%2F")
}

/// Decodes a segment of a path; bytes that are no UTF-8 are replaced.
pub(super) fn decode(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let Some((byte, ahead)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| ahead.get(..2)).flatten().and_then(|two| std::str::from_utf8(two).ok());
        let encoded = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(encoded.unwrap_or(*byte));
        rest = if encoded.is_some() { &ahead[2..] } else { ahead };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same for a slice of texts.
pub fn link(path: &str, params: &[(&str, &str)]) -> String {
    address(path, params.iter().copied())
}

/// The list of runs with a tag.
pub(super) fn tag_link(name: &str, value: &str) -> String {
    address("/runs", [("tag", format!("{name}:{value}"))])
}

/// Percent-encodes a part of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'/' => {
                encoded.push(char::from(byte))
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parameters_are_left_out_of_an_address() {
        assert_eq!(
            address("/runs", [("key", "a b&c"), ("tag", ""), ("status", "stuck")]),
            "/runs?key=a%20b%26c&status=stuck"
        );
    }

    #[test]
    fn an_encoded_segment_decodes_to_the_same_text() {
        for text in ["nightly", "a b/c", "100%", "ä%2F"] {
            assert_eq!(decode(&encode_segment(text)), text);
        }
    }
}
