//! Addresses of people, checked before they are kept: what has a line break could add headers to a mail.

use lettre::{Address, message::Mailbox};

/// The longest address of a mail.
const LONGEST_EMAIL: usize = 254;

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It has a line break or another control character.
    #[error("has a line break or another control character")]
    Control,
    /// It is not of this form.
    #[error("is not {0}")]
    Form(&'static str),
}

fn refuse_control(text: &str) -> Result<(), BadAddress> {
    if text.chars().any(char::is_control) { Err(BadAddress::Control) } else { Ok(()) }
}

/// Whether a mail can go there.
///
/// # Errors
/// It can't.
pub fn check_email(text: &str) -> Result<(), BadAddress> {
    refuse_control(text)?;
    // Some that RFC 5321 allows (`"a b"@example.com`, `a@[127.0.0.1]`) this library can't write a mail to.
    let is_writable = || text.parse::<Address>().is_ok() && text.parse::<Mailbox>().is_ok();
    let is_one = text.len() <= LONGEST_EMAIL && is_writable();
    if is_one { Ok(()) } else { Err(BadAddress::Form("an e-mail address, such as ada@example.com")) }
}

/// Whether it is a telephone number with its country.
///
/// # Errors
/// It is none.
pub fn check_phone(text: &str) -> Result<(), BadAddress> {
    refuse_control(text)?;
    let digits = text.strip_prefix('+').unwrap_or_default();
    let is_one = (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_one { Ok(()) } else { Err(BadAddress::Form("a telephone number, such as +491701234567")) }
}

/// Whether it is a language, with or without its country.
///
/// # Errors
/// It is none.
pub fn check_locale(text: &str) -> Result<(), BadAddress> {
    refuse_control(text)?;
    let (language, country) =
        text.split_once('-').map_or((text, None), |(language, country)| (language, Some(country)));
    let is_word = |word: &str| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word(language) && country.is_none_or(is_word) {
        return Ok(());
    }
    Err(BadAddress::Form("a locale, such as de or de-AT"))
}

/// An address as an operator may see it: its first letter and where it is.
pub fn mask(text: &str) -> String {
    let first: String = text.chars().take(1).collect();
    match text.rsplit_once('@') {
        Some((_, domain)) => format!("{first}***@{domain}"),
        None => format!("{first}***"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_line_break_is_refused() {
        for text in ["ada@example.com\r\nBcc: eve@example.com", "ada@example.com\n", "a\u{0}@example.com"] {
            assert_eq!(check_email(text), Err(BadAddress::Control), "{text:?}");
        }
        assert_eq!(check_phone("+4917\n01234567"), Err(BadAddress::Control));
        assert!(
            ["ada", "@example.com", "a b@example.com", "\"a b\"@example.com", "a@[127.0.0.1]", ""]
                .iter()
                .all(|text| check_email(text).is_err())
        );
        assert!(check_email("ada.l+tea@mail.example.com").is_ok());
    }

    #[test]
    fn numbers_and_locales_have_their_forms() {
        assert!(check_phone("+491701234567").is_ok());
        assert!(["0170", "+49 170", "+", "+1234567890123456"].iter().all(|text| check_phone(text).is_err()));
        assert!(["de", "en-GB"].iter().all(|text| check_locale(text).is_ok()));
        assert!(["", "german", "../x", "de_AT", "de-"].iter().all(|text| check_locale(text).is_err()));
    }

    #[test]
    fn a_masked_address_says_only_where_it_is() {
        assert_eq!(mask("ada@example.com"), "a***@example.com");
        assert_eq!(mask("+491701234567"), "+***");
    }
}
