//! Idempotency keys as Stripe keeps them.
//!
//! The first request under a key that begins to execute has its answer stored, whatever it was, a 500
//! included. Later ones with the same parameters get that answer; with other parameters, or on another
//! endpoint, 400 `idempotency_error`; while the first is in progress, 409. Answers to requests that did not begin
//! (bad parameters, wrong state, outage) are not stored, so the key can be used again.

use std::collections::HashMap;

use super::{journal::Line, objects::Reply};

/// Maximum length of a key, as at Stripe.
const MAX_KEY: usize = 255;

#[derive(Default)]
pub(super) struct KeyStore {
    entries: HashMap<String, Entry>,
    /// Tells requests from before a `clear` from those after it.
    generation: u64,
    /// Keys whose answers the journal has yet to write.
    answered: Vec<String>,
    forgotten: bool,
}

struct Entry {
    fingerprint: String,
    /// `None` while the request is in progress.
    answer: Option<Reply>,
}

/// What to do with a request that carries a key.
#[derive(Debug, PartialEq)]
pub(super) enum Begin {
    /// Execute, then call [`KeyStore::finish`] with this ticket.
    Execute(u64),
    /// Send this stored answer.
    Replay(Reply),
    /// Send this refusal.
    Refuse(Reply),
}

impl KeyStore {
    /// `fingerprint` is what must be the same: endpoint and parameters.
    pub(super) fn begin(&mut self, key: &str, fingerprint: String) -> Begin {
        if key.is_empty() || key.len() > MAX_KEY {
            let message = format!("Idempotency-Key must have 1 to {MAX_KEY} characters.");
            return Begin::Refuse(Reply::invalid("idempotency_key_invalid", &message));
        }
        match self.entries.get(key) {
            None => {
                let entry = Entry { fingerprint, answer: None };
                self.entries.insert(key.to_owned(), entry);
                Begin::Execute(self.generation)
            }
            Some(entry) if entry.fingerprint != fingerprint => {
                let message = "Keys for idempotent requests can only be used with the same \
                               parameters they were first used with.";
                let code = "idempotency_error";
                Begin::Refuse(Reply::error(400, "idempotency_error", code, message))
            }
            Some(Entry { answer: None, .. }) => Begin::Refuse(Reply::error(
                409,
                "invalid_request_error",
                "idempotency_key_in_use",
                "Another request with this key is at work.",
            )),
            Some(Entry { answer: Some(answer), .. }) => Begin::Replay(answer.clone()),
        }
    }

    /// Ends a request that `begin` admitted: stores the answer, or (`None`) frees the key.
    pub(super) fn finish(&mut self, key: &str, ticket: u64, answer: Option<Reply>) {
        if ticket != self.generation {
            return;
        }
        match answer {
            Some(answer) => {
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.answer = Some(answer);
                    self.answered.push(key.to_owned());
                }
            }
            None => {
                self.entries.remove(key);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.answered.clear();
        self.generation += 1;
        self.forgotten = true;
    }

    /// Puts back an answer from the journal.
    pub(super) fn restore(&mut self, key: String, fingerprint: String, answer: Reply) {
        self.answered.push(key.clone());
        self.entries.insert(key, Entry { fingerprint, answer: Some(answer) });
    }

    /// Whether everything was deleted since the last call.
    pub(super) fn take_forgotten(&mut self) -> bool {
        std::mem::take(&mut self.forgotten)
    }

    /// The answers that were stored since the last call.
    pub(super) fn take_answered(&mut self) -> Vec<Line> {
        let answered = std::mem::take(&mut self.answered);
        let line = |key: String| {
            let entry = self.entries.get(&key)?;
            Some(Line::Answer { fingerprint: entry.fingerprint.clone(), reply: entry.answer.clone()?, key })
        };
        answered.into_iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(begin: Begin) -> u16 {
        match begin {
            Begin::Execute(_) => 0,
            Begin::Replay(reply) | Begin::Refuse(reply) => reply.status,
        }
    }

    #[test]
    fn a_key_in_use_is_refused_then_replayed() {
        let mut keys = KeyStore::default();
        assert_eq!(keys.begin("k", "a".into()), Begin::Execute(0));
        assert_eq!(status(keys.begin("k", "a".into())), 409);
        keys.finish("k", 0, Some(Reply::api_error(500, "stored")));
        assert_eq!(status(keys.begin("k", "a".into())), 500);
        assert_eq!(status(keys.begin("k", "b".into())), 400);
    }

    #[test]
    fn a_request_that_did_not_begin_frees_its_key() {
        let mut keys = KeyStore::default();
        assert_eq!(keys.begin("k", "a".into()), Begin::Execute(0));
        keys.finish("k", 0, None);
        assert_eq!(keys.begin("k", "b".into()), Begin::Execute(0));
    }

    #[test]
    fn an_answer_older_than_a_clear_is_not_stored() {
        let mut keys = KeyStore::default();
        assert_eq!(keys.begin("k", "a".into()), Begin::Execute(0));
        keys.clear();
        assert_eq!(keys.begin("k", "b".into()), Begin::Execute(1));
        keys.finish("k", 0, Some(Reply::ok(json!({}))));
        assert_eq!(status(keys.begin("k", "b".into())), 409);
    }
}
