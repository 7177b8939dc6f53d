//! What comes of events from outside: a source's rules say which type of event starts which workflow, or which run it signals.
//!
//! Values are taken from an event by JSON pointers (RFC 6901). Events are CloudEvents 1.0 in JSON unless the source says where
//! else its events have their id and type.

use serde::Deserialize;
use serde_json::Value;

use super::model::{Json, RunId, to_json};

/// The version of CloudEvents.
const SPEC_VERSION: &str = "1.0";

/// A JSON pointer: `/data/order`, or the empty text for the whole event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_sound = text.is_empty() || text.starts_with('/');
        if is_sound { Ok(Self(text)) } else { Err(format!("{text:?} is no JSON pointer: write it as /data/order")) }
    }
}

impl Pointer {
    fn read<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        event.pointer(&self.0)
    }

    /// A text, or a number as text.
    fn read_text(&self, event: &Value) -> Option<String> {
        match self.read(event)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

/// Where the events of a source have what every event has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFields {
    /// The id, the same whenever the event is sent again.
    pub id: Pointer,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Pointer,
    /// The version of its data; rules may demand one.
    pub version: Pointer,
}

impl Default for EventFields {
    fn default() -> Self {
        let pointer = |text: &str| Pointer(text.to_owned());
        Self { id: pointer("/id"), kind: pointer("/type"), version: pointer("/dataschema") }
    }
}

/// The rules of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The source's name.
    pub source: String,
    /// Where its events have id, type and version.
    pub event: EventFields,
    /// The first that fits an event's type counts; an event that none fits has no effect.
    pub rules: Vec<Rule>,
}

/// What comes of events of a type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The type; a `*` at its end stands for any rest.
    #[serde(rename = "type")]
    pub kind: String,
    /// The versions that are understood; any, where there is no list. An event of another one is parked.
    pub versions: Option<Vec<String>>,
    /// What is done.
    pub then: Then,
}

/// What is done with an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Then {
    /// A run is started.
    Start {
        /// The workflow.
        workflow: String,
        /// Its input; `/data` unless said.
        #[serde(default = "data")]
        input: Pointer,
        /// The run's key; source and id of the event unless said.
        key: Option<Pointer>,
    },
    /// A run is sent a signal.
    Signal {
        /// The signal's name.
        name: String,
        /// Which run.
        run: WhichRun,
        /// What it says; `/data` unless said.
        #[serde(default = "data")]
        payload: Pointer,
    },
    /// Nothing.
    Ignore,
}

/// How an event names a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WhichRun {
    /// By its id.
    Id(Pointer),
    /// By the key that it was started with.
    Key {
        /// Its workflow.
        workflow: String,
        /// The key.
        at: Pointer,
    },
}

fn data() -> Pointer {
    Pointer("/data".to_owned())
}

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The version of its data; empty where it has none.
    pub version: String,
    /// All of it.
    pub body: Value,
}

/// What is to be done with an event.
#[derive(Clone, Debug)]
pub enum Mapped {
    /// Start a run of this workflow.
    Start {
        /// The workflow.
        workflow: String,
        /// Its input.
        input: Json,
        /// The run's key.
        key: String,
    },
    /// Send a signal.
    Signal {
        /// Its name.
        name: String,
        /// The run.
        run: Target,
        /// What it says.
        payload: Option<Json>,
    },
    /// Nothing.
    Ignore,
}

/// The run that an event is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By id.
    Id(RunId),
    /// By the key that it was started with.
    Key {
        /// Its workflow.
        workflow: String,
        /// Its key.
        key: String,
    },
}

/// Why an event can't be mapped: it is parked for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmappable {
    /// Its version is none that the rule knows, or its envelope is of another version of CloudEvents.
    #[error("{kind} of version {version:?} is not understood")]
    UnknownVersion {
        /// The event's type.
        kind: String,
        /// The version.
        version: String,
    },
    /// Something that the rule takes from it is not there, or is of another kind.
    #[error("the event has no {what} at {at:?}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Where.
        at: String,
    },
}

impl Unmappable {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownVersion { .. } => "unknown_version",
            Self::Missing { .. } => "unmappable",
        }
    }
}

impl Mapping {
    /// Reads what every event has. An event without an id can't be told from its repetition.
    ///
    /// # Errors
    /// The field that is not there: `id` or `type`.
    pub fn read(&self, body: Value) -> Result<Incoming, &'static str> {
        let id = self.event.id.read_text(&body).ok_or("id")?;
        let kind = self.event.kind.read_text(&body).ok_or("type")?;
        let version = self.event.version.read_text(&body).unwrap_or_default();
        Ok(Incoming { id, kind, version, body })
    }

    /// What the rules make of an event.
    ///
    /// # Errors
    /// See [`Unmappable`].
    pub fn map(&self, event: &Incoming) -> Result<Mapped, Unmappable> {
        if let Some(version) = self.odd_envelope(&event.body) {
            return Err(Unmappable::UnknownVersion { kind: event.kind.clone(), version });
        }
        let Some(rule) = self.rules.iter().find(|rule| rule.fits(&event.kind)) else { return Ok(Mapped::Ignore) };
        if rule.versions.as_ref().is_some_and(|known| !known.contains(&event.version)) {
            let (kind, version) = (event.kind.clone(), event.version.clone());
            return Err(Unmappable::UnknownVersion { kind, version });
        }
        match &rule.then {
            Then::Ignore => Ok(Mapped::Ignore),
            Then::Start { workflow, input, key } => {
                let input = json("input", input, &event.body)?;
                let key = match key {
                    Some(key) => text("key", key, &event.body)?,
                    None => format!("{}:{}", self.source, event.id),
                };
                Ok(Mapped::Start { workflow: workflow.clone(), input, key })
            }
            Then::Signal { name, run, payload } => {
                let run = run.read(&event.body)?;
                Ok(Mapped::Signal { name: name.clone(), run, payload: json("payload", payload, &event.body).ok() })
            }
        }
    }

    /// The version of an event's envelope, where that is one of CloudEvents and not the one that is understood.
    fn odd_envelope(&self, body: &Value) -> Option<String> {
        let version = body.get("specversion").filter(|_| self.event == EventFields::default())?;
        (version != SPEC_VERSION).then(|| version.as_str().map_or_else(|| version.to_string(), str::to_owned))
    }
}

impl Rule {
    fn fits(&self, kind: &str) -> bool {
        self.kind.strip_suffix('*').map_or(self.kind == kind, |begin| kind.starts_with(begin))
    }
}

impl WhichRun {
    fn read(&self, event: &Value) -> Result<Target, Unmappable> {
        match self {
            Self::Id(at) => {
                let id = text("run", at, event)?.parse();
                id.map(Target::Id).map_err(|_| Unmappable::Missing { what: "run's id", at: at.0.clone() })
            }
            Self::Key { workflow, at } => {
                Ok(Target::Key { workflow: workflow.clone(), key: text("run's key", at, event)? })
            }
        }
    }
}

fn text(what: &'static str, at: &Pointer, event: &Value) -> Result<String, Unmappable> {
    at.read_text(event).ok_or_else(|| Unmappable::Missing { what, at: at.0.clone() })
}

fn json(what: &'static str, at: &Pointer, event: &Value) -> Result<Json, Unmappable> {
    let found = at.read(event).and_then(|value| to_json(value).ok());
    found.ok_or_else(|| Unmappable::Missing { what, at: at.0.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(rules: Value) -> Mapping {
        let rules = serde_json::from_value(rules).expect("rules");
        Mapping { source: "crm".to_owned(), event: EventFields::default(), rules }
    }

    fn map(mapping: &Mapping, event: Value) -> Result<Mapped, Unmappable> {
        mapping.map(&mapping.read(event).expect("an event"))
    }

    #[test]
    fn an_envelope_of_another_version_is_not_understood() {
        let mut mapping = mapping(json!([{"type": "a", "then": "ignore"}]));
        let event = |version: Value| json!({"id": "1", "type": "a", "specversion": version});
        for odd in [json!("2.0"), json!("0.3"), json!(1.0), json!(null)] {
            assert_eq!(
                map(&mapping, event(odd.clone())).map_err(|error| error.code()).err(),
                Some("unknown_version"),
                "{odd}"
            );
        }
        assert!(map(&mapping, event(json!("1.0"))).is_ok());
        assert!(map(&mapping, json!({"id": "1", "type": "a"})).is_ok(), "many senders have none");
        mapping.event.kind = Pointer("/kind".to_owned());
        let own = json!({"id": "1", "kind": "a", "specversion": "2.0"});
        assert!(map(&mapping, own).is_ok(), "events of a form of their own");
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let mapping = mapping(json!([
            {"type": "customer.created", "then": {"start": {"workflow": "first"}}},
            {"type": "customer.*", "then": {"start": {"workflow": "rest", "key": "/subject", "input": ""}}},
        ]));
        let event = |kind: &str| json!({"id": 7, "type": kind, "subject": "c1", "data": {"a": 1}});
        let started = |event| match map(&mapping, event) {
            Ok(Mapped::Start { workflow, key, input }) => (workflow, key, input.get().to_owned()),
            other => panic!("{other:?}"),
        };
        let (workflow, key, input) = started(event("customer.created"));
        assert_eq!((workflow.as_str(), key.as_str(), input.as_str()), ("first", "crm:7", r#"{"a":1}"#));
        let (workflow, key, input) = started(event("customer.moved"));
        assert_eq!((workflow.as_str(), key.as_str()), ("rest", "c1"));
        assert!(input.contains("customer.moved"), "{input}");
        assert!(matches!(map(&mapping, event("order.placed")), Ok(Mapped::Ignore)));
    }

    #[test]
    fn a_signal_finds_its_run_by_id_or_key() {
        let by = |run: Value| mapping(json!([{"type": "t", "then": {"signal": {"name": "s", "run": run}}}]));
        let target = |mapping: &Mapping, data: Value| match map(mapping, json!({"id": "1", "type": "t", "data": data}))
        {
            Ok(Mapped::Signal { run, .. }) => Ok(run),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code()),
        };
        let id = by(json!({"id": "/data/run"}));
        assert_eq!(target(&id, json!({"run": RunId::nil()})), Ok(Target::Id(RunId::nil())));
        assert_eq!(target(&id, json!({"run": "x"})), Err("unmappable"));
        assert_eq!(target(&id, json!({"run": null})), Err("unmappable"));
        let key = by(json!({"key": {"workflow": "w", "at": "/data/k"}}));
        let named = Target::Key { workflow: "w".to_owned(), key: "12".to_owned() };
        assert_eq!(target(&key, json!({"k": 12})), Ok(named));
    }

    #[test]
    fn an_unknown_version_or_missing_value_is_unmappable() {
        let mapping = mapping(json!([{"type": "t", "versions": ["v1"], "then": {"start": {"workflow": "w"}}}]));
        let code = |event| map(&mapping, event).map(drop).map_err(|error| error.code());
        assert_eq!(code(json!({"id": "1", "type": "t", "dataschema": "v1", "data": 1})), Ok(()));
        assert_eq!(code(json!({"id": "1", "type": "t", "dataschema": "v2", "data": 1})), Err("unknown_version"));
        assert_eq!(code(json!({"id": "1", "type": "t", "data": 1})), Err("unknown_version"));
        assert_eq!(code(json!({"id": "1", "type": "t", "dataschema": "v1"})), Err("unmappable"));
        assert_eq!(mapping.read(json!({"type": "t"})), Err("id"));
        assert_eq!(mapping.read(json!({"id": {}, "type": "t"})), Err("id"));
        assert_eq!(mapping.read(json!([])), Err("id"));
        assert_eq!(mapping.read(json!({"id": "1"})), Err("type"));
    }

    #[test]
    fn rules_with_odd_fields_are_refused() {
        for odd in [
            json!([{"type": "t", "then": {"start": {"workflow": "w", "inptu": "/data"}}}]),
            json!([{"type": "t", "then": {"start": {"workflow": "w", "input": "data"}}}]),
            json!([{"type": "t", "then": "explode"}]),
            json!([{"type": "t"}]),
        ] {
            assert!(serde_json::from_value::<Vec<Rule>>(odd.clone()).is_err(), "{odd}");
        }
    }
}
