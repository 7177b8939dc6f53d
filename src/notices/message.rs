//! A message, the channels it can take, and what may go wrong.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a message reaches somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A mail.
    Email,
    /// A text message.
    Sms,
    /// A push message to the customer's devices.
    Push,
    /// A call of the shop's own URL.
    Webhook,
    /// A line in the log.
    Log,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Email, Self::Sms, Self::Push, Self::Webhook, Self::Log];

    /// Its word in tables and settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Webhook => "webhook",
            Self::Log => "log",
        }
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "server", schema(as = NoticeRecipient))]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// Who ordered.
    Customer,
    /// Each seller of an item of the order.
    Seller,
    /// Who runs the shop.
    Operator,
}

impl Recipient {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Seller, Self::Operator];

    /// Its word in tables and settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Seller => "seller",
            Self::Operator => "operator",
        }
    }
}

/// A message as a provider gets it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The same each time it is sent.
    pub id: Uuid,
    /// What it says, in a word: the template.
    pub about: String,
    /// The order, where it is about one.
    pub order_id: Option<Uuid>,
    /// Whom it is for.
    pub recipient: Recipient,
    /// The address in its channel; empty where the channel needs none.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Message {
    /// Without address and text: they are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("about", &self.about).finish_non_exhaustive()
    }
}

/// How a failure is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may go better later. The message may have been sent.
    Passing,
    /// It will fail again: the address or the message is refused.
    Lasting,
    /// No provider could be asked.
    Unasked,
}

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// How it is to be taken.
    pub trouble: Trouble,
    /// What is wrong, for operators.
    pub message: String,
}

impl SendError {
    /// A failure that may pass.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { trouble: Trouble::Passing, message: message.into() }
    }

    /// A failure that will come again.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { trouble: Trouble::Lasting, message: message.into() }
    }
}
