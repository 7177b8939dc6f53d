//! Notifications: list them, send one, send one again, and the task that sends them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Orders;
use crate::{
    engine::{AuditRecord, Slice},
    notices::{Channel, Recipient, TEMPLATES},
    orders::{
        alerts::tell_all,
        error::Error,
        gate::BreakerGate,
        notices::{Notices, Notification, NotificationCount, NotificationState, deliver_all, has_happened, to_one},
        store::{alerts, notifications, orders},
    },
};

/// Which notifications to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct NotificationFilter {
    /// Only those of this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// Only those of this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<NotificationState>,
    /// 50 by default.
    #[cfg_attr(feature = "server", param(minimum = 1, maximum = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A request to tell somebody of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SendNotification {
    /// The order.
    pub order_id: Uuid,
    /// What to say, in a word.
    #[cfg_attr(feature = "server", schema(example = "order.placed"))]
    pub about: String,
    /// Whom to tell.
    pub recipient: Recipient,
    /// How; a mail by default.
    #[serde(default)]
    pub channel: Option<Channel>,
}

impl Orders {
    /// A page of notifications, the latest first.
    ///
    /// # Errors
    /// `invalid_request` for a limit outside 1 to 200; `bad_cursor`.
    pub async fn notifications(&self, filter: &NotificationFilter) -> Result<Slice<Notification>, Error> {
        let limit = filter.limit.unwrap_or(50);
        if !(1..=200).contains(&limit) {
            return Err(Error::InvalidRequest(format!("limit is {limit}; it must be 1 to 200")));
        }
        let before = filter.cursor.as_deref().map(|text| Uuid::try_parse(text).map_err(|_| Error::BadCursor));
        let (before, fetched) = (before.transpose()?, i64::from(limit) + 1);
        let mut conn = self.engine.acquire().await?;
        let mut items = notifications::load_page(&mut conn, filter.order_id, filter.state, before, fetched).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_cursor = items.last().filter(|_| more).map(|last| last.id.simple().to_string());
        Ok(Slice { items, next_cursor })
    }

    /// Tells somebody of an order, as it is then; a worker sends it. The same request with the same key gives the first
    /// notifications, and `false`.
    ///
    /// # Errors
    /// `unknown_order`; `wrong_state` for what has not happened to it; `invalid_request` where there is no such template, or no
    /// address; `key_conflict`.
    pub async fn send_notification(
        &self,
        request: &SendNotification,
        key: Option<&str>,
    ) -> Result<(Slice<Notification>, bool), Error> {
        let SendNotification { order_id, about, recipient, channel } = request;
        if !TEMPLATES.contains(&about.as_str()) {
            return Err(Error::InvalidRequest(format!("about is not one of {}", TEMPLATES.join(", "))));
        }
        let channel = channel.unwrap_or(Channel::Email);
        let cause = key.map_or_else(Uuid::now_v7, cause_of);
        let mut tx = self.engine.begin().await?;
        if let Some(items) = first_of(notifications::of_cause(&mut tx, cause).await?, request)? {
            return Ok((items, false));
        }
        let mut all = notifications::concerned(&mut tx, &[*order_id]).await?;
        let concerned = all.remove(order_id).ok_or(Error::UnknownOrder(*order_id))?;
        let order = orders::find(&mut tx, *order_id).await?.ok_or(Error::UnknownOrder(*order_id))?;
        if !has_happened(about, &order) {
            return Err(Error::WrongState(format!("{about} has not happened to order {order_id}")));
        }
        let made = to_one((cause, *order_id, about), &concerned, &self.notices.routes, *recipient, channel);
        if made.is_empty() {
            let (who, how) = (recipient.word(), channel.word());
            return Err(Error::InvalidRequest(format!("no address of the {who} is known for {how}")));
        }
        let inserted = notifications::insert_all(&mut tx, &made).await?;
        let items = notifications::of_cause(&mut tx, cause).await?;
        if inserted == 0 {
            // The same key at the same time: the other request's have been committed.
            let items = first_of(items, request)?.unwrap_or(Slice { items: Vec::new(), next_cursor: None });
            return Ok((items, false));
        }
        let done = AuditRecord {
            action: "send_notification",
            run: None,
            subject: Some(&format!("order {order_id}")),
            before: None,
            after: Some(json!({"about": about, "recipient": recipient, "channel": channel})),
        };
        self.audit(&mut tx, &done, None).await?;
        tx.commit().await?;
        Ok((Slice { items, next_cursor: None }, true))
    }

    /// Sends a notification again, with the same id; one that waits for its first attempt stays as it is.
    ///
    /// # Errors
    /// `unknown_notification`.
    pub async fn resend_notification(&self, id: Uuid) -> Result<Notification, Error> {
        let mut tx = self.engine.begin().await?;
        let before = notifications::find(&mut tx, id).await?.ok_or(Error::UnknownNotification(id))?;
        if notifications::send_again(&mut tx, id).await? {
            let done = AuditRecord {
                action: "resend_notification",
                run: None,
                subject: Some(&format!("notification {id}")),
                before: Some(json!({"state": before.state})),
                after: Some(json!({"state": NotificationState::Pending})),
            };
            self.audit(&mut tx, &done, None).await?;
        }
        let after = notifications::find(&mut tx, id).await?.ok_or(Error::UnknownNotification(id))?;
        tx.commit().await?;
        Ok(after)
    }

    /// How many notifications are not sent, by state.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn unsent_notifications(&self) -> Result<Vec<NotificationCount>, Error> {
        Ok(notifications::count_unsent(&mut *self.engine.acquire().await?).await?)
    }

    /// Sends notifications that are due, and tells operators what is wrong, until stopped. Any number of processes may.
    pub async fn deliver_notices(&self, stop: impl Future<Output = ()> + Send) {
        let both = async { tokio::join!(deliver_all(self, &self.notices), tell_all(self, &self.notices)) };
        tokio::select! {
            _ = both => {}
            () = stop => {}
        }
    }

    /// How many messages of alerts nobody has taken yet.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn unsent_alerts(&self) -> Result<i64, Error> {
        Ok(alerts::count_unsent(&mut *self.engine.acquire().await?).await?)
    }

    /// Sends notices with these. The engine needs their sink.
    pub fn with_notices(mut self, notices: Notices) -> Self {
        notices.post.guard(Arc::new(BreakerGate(self.engine.clone())));
        self.notices = Arc::new(notices);
        self
    }
}

/// The cause of notifications that were asked for with a key.
fn cause_of(key: &str) -> Uuid {
    let hash = Sha256::new().chain_update("notification ").chain_update(key).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, of_hash)| *byte = of_hash);
    Uuid::from_bytes(bytes)
}

/// The notifications of a key that was used before, unless it was for something else.
fn first_of(items: Vec<Notification>, request: &SendNotification) -> Result<Option<Slice<Notification>>, Error> {
    let Some(first) = items.first() else { return Ok(None) };
    let same = (first.order_id, first.about.as_str(), first.recipient, first.channel)
        == (request.order_id, request.about.as_str(), request.recipient, request.channel.unwrap_or(Channel::Email));
    if same { Ok(Some(Slice { items, next_cursor: None })) } else { Err(Error::NotificationKeyConflict) }
}
