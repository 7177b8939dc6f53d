//! Events in: the sources, how their webhooks are signed, which topics they have, and what comes of their events. Read from a
//! file of settings, in JSON:
//!
//! ```json
//! {"sources": [{
//!   "name": "carrier",
//!   "webhook": {"scheme": "standard", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]},
//!   "topics": ["parcels"],
//!   "rules": [
//!     {"type": "parcel.posted", "then": {"start": {"workflow": "track_parcel", "input": "/data", "key": "/data/parcel"}}},
//!     {"type": "parcel.*", "versions": ["v1"],
//!      "then": {"signal": {"name": "moved", "run": {"key": {"workflow": "track_parcel", "at": "/data/parcel"}}}}},
//!     {"type": "*", "then": "ignore"}
//!   ]
//! }]}
//! ```

pub mod signature;
#[cfg(feature = "kafka")]
mod topics;

use std::{collections::HashSet, path::Path};

use serde::Deserialize;

use self::signature::Scheme;
#[cfg(feature = "kafka")]
pub use self::topics::read_topics;
use crate::{
    Secret,
    engine::{EventFields, Mapping, Rule},
};

/// The longest name of a source: it stands in an address, and begins the keys of its runs.
const LONGEST_NAME: usize = 64;

/// The sources of events. Cheap enough to clone at start.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    sources: Vec<Source>,
}

/// A source of events.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its rules, with its name.
    pub mapping: Mapping,
    /// How its webhooks are signed; none: it sends none.
    pub webhook: Option<Webhook>,
    /// The Kafka topics that its events are in.
    pub topics: Vec<String>,
}

/// How a source signs its webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The scheme.
    #[serde(default)]
    pub scheme: Scheme,
    /// The header that has the signature, where it is not the scheme's usual one.
    pub header: Option<String>,
    /// The secrets: more than one while they are changed.
    #[serde(deserialize_with = "read_secrets")]
    pub secrets: Vec<Secret>,
}

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The file can't be read.
    #[error("the file of sources can't be read")]
    Unreadable(#[source] std::io::Error),
    /// It is not what it should be.
    #[error("the file of sources: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A source can't be used.
    #[error("source {name:?}: {why}")]
    Unusable {
        /// The source's name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: Vec<SourceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    name: String,
    webhook: Option<Webhook>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    event: EventFields,
    rules: Vec<Rule>,
}

impl Inbox {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`InboxError`].
    pub fn read(path: &Path) -> Result<Self, InboxError> {
        Self::parse(&std::fs::read_to_string(path).map_err(InboxError::Unreadable)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// See [`InboxError`].
    pub fn parse(text: &str) -> Result<Self, InboxError> {
        let File { sources } = serde_json::from_str(text)?;
        let mut names = HashSet::new();
        for source in &sources {
            let refuse = |why| Err(InboxError::Unusable { name: source.name.clone(), why });
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
            if source.name.is_empty() || source.name.len() > LONGEST_NAME || !source.name.chars().all(is_word) {
                return refuse("a name has 1 to 64 letters, digits, dots, dashes and underscores");
            }
            if !names.insert(source.name.as_str()) {
                return refuse("there are two of this name");
            }
            if source.webhook.as_ref().is_some_and(|webhook| webhook.secrets.iter().all(Secret::is_empty)) {
                return refuse("a webhook needs a secret: anybody could send events without");
            }
            if source.webhook.as_ref().is_some_and(|webhook| !webhook.has_readable_secrets()) {
                return refuse("a secret that begins with whsec_ goes on in base64");
            }
        }
        Ok(Self { sources: sources.into_iter().map(SourceEntry::into_source).collect() })
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.mapping.source == name)
    }

    /// All sources.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The rules of all sources.
    pub fn mappings(&self) -> Vec<Mapping> {
        self.sources.iter().map(|source| source.mapping.clone()).collect()
    }
}

impl SourceEntry {
    fn into_source(self) -> Source {
        let Self { name, webhook, topics, event, rules } = self;
        Source { mapping: Mapping { source: name, event, rules }, webhook, topics }
    }
}

fn read_secrets<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
    Ok(Vec::<String>::deserialize(from)?.into_iter().map(Secret::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_cant_be_used_is_refused() {
        let refused = |text: &str| Inbox::parse(text).map(drop).map_err(|error| error.to_string());
        let source = |rest: &str| format!(r#"{{"sources": [{{"rules": [], {rest}}}]}}"#);
        assert_eq!(refused(&source(r#""name": "a""#)), Ok(()));
        for (rest, why) in [
            (r#""name": "a/b""#, "letters"),
            (r#""name": """#, "letters"),
            (r#""name": "a", "webhook": {"secrets": []}"#, "needs a secret"),
            (r#""name": "a", "webhook": {"secrets": [""]}"#, "needs a secret"),
            (r#""name": "a", "webhook": {"secrets": ["whsec_###"]}"#, "base64"),
            (r#""name": "a", "webhook": {"secrets": ["s"], "scheme": "none"}"#, "unknown variant"),
            (r#""name": "a", "topic": "t""#, "unknown field"),
            (r#""name": "a"}, {"rules": [], "name": "a""#, "two of this name"),
        ] {
            let refused = refused(&source(rest)).expect_err(rest);
            assert!(refused.contains(why), "{rest}: {refused}");
        }
    }

    #[test]
    fn the_documented_example_can_be_read() {
        let doc = include_str!("mod.rs").lines().take_while(|line| line.starts_with("//!"));
        let text: Vec<&str> = doc.map(|line| line.trim_start_matches("//!")).collect();
        let text = text.join("\n");
        let json = text.split("```").nth(1).and_then(|block| block.strip_prefix("json")).expect("an example");
        let inbox = Inbox::parse(json).expect("a file");
        assert_eq!(inbox.source("carrier").map(|source| source.mapping.rules.len()), Some(3));
        assert!(!format!("{inbox:?}").contains("MfKQ"), "a secret is not printed");
    }
}
