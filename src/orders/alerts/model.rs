//! What is wrong, and what operators know of it.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::engine::Time;

/// Something that needs an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// The same as long as it is the same thing.
    pub(crate) key: String,
    /// What is wrong, in a line.
    pub(crate) title: String,
    /// Of how many of `unit`.
    pub(crate) count: i64,
    /// One of them, and several; empty where there is nothing to count.
    pub(crate) unit: (&'static str, &'static str),
    /// Since when, where that is known.
    pub(crate) since: Option<Time>,
    /// The page that shows it.
    pub(crate) path: String,
    /// The command that helps.
    pub(crate) command: String,
    /// Its section in the runbook.
    pub(crate) runbook: &'static str,
}

/// What operators know of something that is or was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) path: String,
    pub(crate) since: Time,
    /// When they were last told that it is wrong.
    pub(crate) said_at: Time,
    /// Of how many.
    pub(crate) said_count: i64,
    /// Since when it has not been found.
    pub(crate) gone_since: Option<Time>,
    /// They were told that it is over.
    pub(crate) is_over: bool,
}

/// What is said of something: what is worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    New,
    Grown,
    Over,
    /// It is as it was.
    Still,
}

/// Something that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) change: Change,
    pub(crate) since: Time,
    pub(crate) condition: Condition,
}

/// A message for one target, as it is kept until it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlertMessage {
    pub(crate) id: Uuid,
    pub(crate) target: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// One that this process is to send. Its attempt is the fence, as a notification's is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClaimedMessage {
    pub(crate) message: AlertMessage,
    pub(crate) attempt: i32,
}
