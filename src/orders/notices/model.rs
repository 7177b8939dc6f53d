//! Notifications, and those whom they are for.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    engine::Time,
    notices::{Channel, Recipient, address},
    orders::{Error, state::Word},
};

/// Where a customer wants to be told of an order. It is never part of the order itself, of its run or of its events.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// A mail address.
    #[cfg_attr(feature = "server", schema(example = "ada@example.com"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number with its country.
    #[cfg_attr(feature = "server", schema(example = "+491701234567"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// A language, with or without a country; English by default.
    #[cfg_attr(feature = "server", schema(example = "de"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact").finish_non_exhaustive()
    }
}

impl Contact {
    /// # Errors
    /// `invalid_request`, with the field.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let check = |field: &str, value: &Option<String>, check: fn(&str) -> Result<(), address::BadAddress>| {
            let checked = value.as_deref().map_or(Ok(()), check);
            checked.map_err(|error| Error::InvalidRequest(format!("contact.{field} {error}")))
        };
        check("email", &self.email, address::check_email)?;
        check("phone", &self.phone, address::check_phone)?;
        check("locale", &self.locale, address::check_locale)
    }
}

/// Who sells an item.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Their id.
    #[cfg_attr(feature = "server", schema(max_length = 128, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$", example = "s1"))]
    pub id: String,
    /// Where they are told of orders of it.
    #[cfg_attr(feature = "server", schema(example = "seller@example.com"))]
    #[serde(default)]
    pub email: Option<String>,
}

impl fmt::Debug for Seller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seller").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Seller {
    /// The same without what is personal.
    pub fn masked(self) -> Self {
        Self { email: self.email.as_deref().map(address::mask), ..self }
    }
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NotificationState {
    /// Not tried yet.
    Pending,
    /// A provider has taken it.
    Sent,
    /// The last attempt failed; there will be another.
    Failed,
    /// Given up: an operator may send it again.
    Parked,
}

impl Word for NotificationState {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Pending, "pending"), (Self::Sent, "sent"), (Self::Failed, "failed"), (Self::Parked, "parked")];
    const MOVES: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Sent),
        (Self::Pending, Self::Failed),
        (Self::Pending, Self::Parked),
        (Self::Failed, Self::Sent),
        (Self::Failed, Self::Parked),
        (Self::Failed, Self::Pending),
        (Self::Parked, Self::Pending),
        (Self::Sent, Self::Pending),
    ];
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Notification {
    /// Its id, which its receiver sees: the same each time it is sent.
    pub id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// What it says, in a word: the name of its template.
    pub about: String,
    /// Whom it is for.
    pub recipient: Recipient,
    /// The seller, where it is for one.
    pub seller_id: Option<String>,
    /// How it is sent.
    pub channel: Channel,
    /// Its address, masked.
    pub to: String,
    /// What became of it.
    pub state: NotificationState,
    /// How often it was tried or sent again.
    pub attempts: i32,
    /// Who took it.
    pub provider: Option<String>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it will be tried next, where it will.
    pub next_attempt_at: Option<Time>,
    /// When it was sent.
    pub sent_at: Option<Time>,
}

/// One that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewNotification {
    pub(crate) cause: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) about: String,
    pub(crate) recipient: Recipient,
    pub(crate) seller_id: Option<String>,
    pub(crate) channel: Channel,
    pub(crate) address: String,
    pub(crate) locale: Option<String>,
}

/// One that this process is to send. Its attempt is the fence: a later one's holder writes, an earlier one's does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) about: String,
    pub(crate) recipient: Recipient,
    pub(crate) channel: Channel,
    pub(crate) address: String,
    pub(crate) locale: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) failures: i32,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attempted {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) state: NotificationState,
    pub(crate) failures: i32,
    /// Until the next.
    pub(crate) pause_s: f64,
    pub(crate) provider: Option<String>,
    pub(crate) error: Option<String>,
}

/// How many notifications are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationCount {
    /// The state.
    pub state: NotificationState,
    /// How many.
    pub count: i64,
}

/// Whom an order concerns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Concerned {
    pub(crate) customer_id: String,
    pub(crate) contact: Contact,
    /// Id and mail address of each seller.
    pub(crate) sellers: Vec<(String, String)>,
}
