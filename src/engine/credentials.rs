//! What proves who somebody is, and what a process remembers of it: the form of tokens, and verdicts for a few seconds.
//!
//! The memory is what makes a key cost no query per request; its age is how late a revocation may be noticed.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use super::role::Role;

/// How long a verdict on a credential is believed, good or bad: a revocation is noticed everywhere within this time.
pub const VERDICT_FOR: Duration = Duration::from_secs(5);

/// How long "there are no keys" is believed. That there are some is believed for good: rows of keys are never deleted.
const NO_KEYS_FOR: Duration = Duration::from_secs(1);

/// Verdicts of either kind that a process remembers at most.
const REMEMBERED_AT_MOST: usize = 4096;

const PREFIX: &str = "bsk_";
const ID_DIGITS: usize = 12;
const SECRET_DIGITS: usize = 64;

/// Who somebody has proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's public part.
    pub key_id: String,
    /// The key's name.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// What the session's forms have to send back; empty for a key.
    pub csrf: String,
}

/// The two parts of a token: `bsk_<id>_<secret>`.
pub(crate) struct Token<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
}

impl<'a> Token<'a> {
    /// Takes a token apart; none where it has not the form of one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        (hex(id, ID_DIGITS) && hex(secret, SECRET_DIGITS)).then_some(Self { id, secret })
    }
}

/// A new token's public part and its secret.
pub(crate) fn new_token() -> (String, String) {
    (hex::encode(&random()[..ID_DIGITS / 2]), hex::encode(random()))
}

/// A token as its owner gets it.
pub(crate) fn token(id: &str, secret: &str) -> String {
    format!("{PREFIX}{id}_{secret}")
}

/// 32 bytes that nobody can guess: from a generator that is seeded by the operating system and made for secrets.
pub(crate) fn random() -> [u8; 32] {
    rand::random()
}

/// What is kept of a secret. It has 256 random bits, so nothing slower than SHA-256 is needed.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A credential as the memory knows it: never the thing itself.
pub(crate) fn digest(kind: &str, credential: &str) -> [u8; 32] {
    Sha256::new().chain_update(kind).chain_update([0]).chain_update(credential).finalize().into()
}

/// Who it is, or why nobody.
pub(crate) type Verdict = Result<Identity, String>;

/// A process's memory of verdicts.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<[u8; 32], (Verdict, Instant)>,
    refused: HashMap<[u8; 32], (Verdict, Instant)>,
    keys_exist: bool,
    no_keys_until: Option<Instant>,
}

impl Memory {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The verdict on a credential, while it is believed.
    pub(crate) fn recall(&self, digest: &[u8; 32], now: Instant) -> Option<Verdict> {
        self.with(|inner| {
            let found = inner.known.get(digest).or_else(|| inner.refused.get(digest))?;
            (found.1 > now).then(|| found.0.clone())
        })
    }

    /// Remembers a verdict, for `left` at most. Refusals have a place of their own, so that a flood of wrong tokens can't
    /// push the good ones out.
    pub(crate) fn remember(&self, digest: [u8; 32], verdict: &Verdict, left: Option<Duration>, now: Instant) {
        let until = now.checked_add(left.map_or(VERDICT_FOR, |left| left.min(VERDICT_FOR))).unwrap_or(now);
        self.with(|inner| {
            let place = if verdict.is_ok() { &mut inner.known } else { &mut inner.refused };
            if place.len() >= REMEMBERED_AT_MOST {
                place.retain(|_, (_, until)| *until > now);
            }
            if place.len() >= REMEMBERED_AT_MOST {
                place.clear();
            }
            place.insert(digest, (verdict.clone(), until));
        });
    }

    /// Forgets all verdicts: something was revoked here.
    pub(crate) fn forget(&self) {
        self.with(|inner| {
            inner.known.clear();
            inner.refused.clear();
        });
    }

    /// Whether keys exist, while that is believed.
    pub(crate) fn keys_exist(&self, now: Instant) -> Option<bool> {
        self.with(|inner| match inner.keys_exist {
            true => Some(true),
            false => inner.no_keys_until.is_some_and(|until| until > now).then_some(false),
        })
    }

    /// Remembers whether keys exist.
    pub(crate) fn keys_seen(&self, exist: bool, now: Instant) {
        self.with(|inner| {
            inner.keys_exist |= exist;
            inner.no_keys_until = now.checked_add(NO_KEYS_FOR);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Verdict {
        Ok(Identity { key_id: "k".into(), name: "ann".into(), role: Role::Viewer, csrf: String::new() })
    }

    #[test]
    fn a_token_has_one_form() {
        let (id, secret) = new_token();
        let text = token(&id, &secret);
        let parsed = Token::parse(&text).expect("our own form");
        assert_eq!((parsed.id, parsed.secret), (id.as_str(), secret.as_str()));
        let upper = text.to_uppercase();
        for bad in
            ["", "bsk_", "bsk__", &text[4..], &text[..text.len() - 1], &format!("{text}0"), &upper, &format!(" {text}")]
        {
            assert!(Token::parse(bad).is_none(), "{bad:?}");
        }
        assert_ne!(new_token(), new_token());
    }

    #[test]
    fn a_verdict_is_cached_five_seconds_at_most() {
        let (memory, now) = (Memory::default(), Instant::now());
        let after = |ms: u64| now + Duration::from_millis(ms);
        memory.remember([1; 32], &ann(), None, now);
        memory.remember([2; 32], &Err("no".into()), None, now);
        memory.remember([3; 32], &ann(), Some(Duration::from_millis(10)), now);
        assert_eq!(memory.recall(&[1; 32], after(4999)), Some(ann()));
        assert_eq!(memory.recall(&[2; 32], after(4999)), Some(Err("no".into())));
        assert_eq!(memory.recall(&[1; 32], after(5000)), None);
        assert_eq!((memory.recall(&[3; 32], after(9)), memory.recall(&[3; 32], after(10))), (Some(ann()), None));
        memory.forget();
        assert_eq!(memory.recall(&[1; 32], now), None);
    }

    #[test]
    fn wrong_tokens_push_no_good_one_out() {
        let (memory, now) = (Memory::default(), Instant::now());
        memory.remember([0; 32], &ann(), None, now);
        for number in 1..=3 * REMEMBERED_AT_MOST {
            memory.remember(digest("key", &number.to_string()), &Err("no".into()), None, now);
        }
        assert!(memory.with(|inner| inner.refused.len()) <= REMEMBERED_AT_MOST);
        assert_eq!(memory.recall(&[0; 32], now), Some(ann()));
    }

    #[test]
    fn the_lack_of_keys_is_cached_for_a_second() {
        let (memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.keys_exist(now), None);
        memory.keys_seen(false, now);
        assert_eq!((memory.keys_exist(now), memory.keys_exist(now + NO_KEYS_FOR)), (Some(false), None));
        memory.keys_seen(true, now);
        memory.keys_seen(false, now);
        assert_eq!(memory.keys_exist(now + NO_KEYS_FOR * 100), Some(true));
    }
}
