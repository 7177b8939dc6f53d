//! Sending what is due: claimed for a short time that is renewed while they are sent, so that two workers don't send the same,
//! and what a dead one had claimed is soon sent by another.

use std::{collections::HashMap, pin::pin, time::Duration};

use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::{Attempted, Claimed, Notices, decide::judge};
use crate::{
    engine::{Error, Lent},
    notices::{Message, Recipient, SendError, Text},
    orders::{Orders, order::Order, store},
};

/// Claimed at a time.
const BATCH: i64 = 64;

/// Sent at a time: not more than a mail server's connections that are kept, and so that orders get their share of the machine.
const AT_A_TIME: usize = 16;

/// How long they are a worker's without a word of it, in seconds.
const CLAIMED_FOR: f64 = 12.0;

/// How often it says that it is still sending them.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// How often a worker looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// While there are some: they are sent as they come, and not half a second's at once.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How often, while the database does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Sends what is due, for ever.
pub(in crate::orders) async fn run(orders: &Orders, notices: &Notices) {
    loop {
        let pause = match turn(orders, notices).await {
            Ok(looked_at) if looked_at >= BATCH as usize => continue,
            Ok(0) => LOOK_EVERY,
            Ok(_) => LOOK_AGAIN,
            Err(error) => {
                tracing::debug!(%error, "can't send notices yet");
                TRY_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Sends what is due, at most a batch; gives how many were looked at.
async fn turn(orders: &Orders, notices: &Notices) -> Result<usize, Error> {
    let pool = orders.engine().pool();
    let mut conn = Lent::of(pool).await?;
    let (claimed, looked_at) = store::notifications::claim(&mut conn, BATCH, CLAIMED_FOR).await?;
    if claimed.is_empty() {
        conn.give_back();
        return Ok(looked_at);
    }
    let ids: Vec<Uuid> = claimed.iter().map(|claimed| claimed.order_id).collect();
    let mut about: HashMap<Uuid, Order> = store::orders::find_all(&mut conn, &ids).await?;
    for order in about.values_mut().filter(|order| order.archived) {
        *order = orders.complete(&mut conn, order.clone()).await?;
    }
    conn.give_back();
    let attempts: Vec<_> =
        claimed.iter().map(|claimed| attempt(notices, claimed, about.get(&claimed.order_id))).collect();
    let mut sending = pin!(stream::iter(attempts).buffer_unordered(AT_A_TIME).collect::<Vec<Attempted>>());
    let done = loop {
        match tokio::time::timeout(RENEW_EVERY, &mut sending).await {
            Ok(done) => break done,
            Err(_) => renew(orders, &claimed).await,
        }
    };
    let mut conn = Lent::of(pool).await?;
    store::notifications::record(&mut conn, &done).await?;
    conn.give_back();
    Ok(looked_at)
}

/// Keeps them this worker's. While the database does not answer they may become another's, who sends them with the same ids.
async fn renew(orders: &Orders, claimed: &[Claimed]) {
    let renewing = async {
        let mut conn = orders.engine().acquire().await?;
        Ok::<_, Error>(store::notifications::renew(&mut conn, claimed, CLAIMED_FOR).await?)
    };
    if let Err(error) = renewing.await {
        tracing::debug!(%error, "notices that are being sent may be sent twice");
    }
}

async fn attempt(notices: &Notices, claimed: &Claimed, order: Option<&Order>) -> Attempted {
    let sent = match render(notices, claimed, order) {
        Ok(message) => notices.post.send(claimed.channel, &message).await,
        Err(why) => Err(SendError::lasting(why)),
    };
    judge(claimed, sent)
}

fn render(notices: &Notices, claimed: &Claimed, order: Option<&Order>) -> Result<Message, String> {
    let order = order.ok_or("the order is no longer kept")?;
    let facts = order.facts(claimed.recipient);
    let Text { subject, body } = notices.templates.render(&claimed.about, claimed.locale.as_deref(), &facts)?;
    let (about, to) = (claimed.about.clone(), claimed.address.clone());
    Ok(Message {
        id: claimed.id,
        about,
        order_id: Some(order.id),
        recipient: claimed.recipient,
        to,
        subject,
        text: body,
    })
}

impl Order {
    /// What templates may say of it.
    fn facts(&self, recipient: Recipient) -> crate::notices::Facts {
        use crate::{
            notices::{FactLine, Facts},
            orders::{money::format_amount, state::Word},
        };
        let amount = |minor| format_amount(minor, &self.currency);
        // What somebody else has chosen makes no line of its own.
        let one_line = |text: &str| text.replace(char::is_control, " ");
        let line = |line: &super::super::Line| FactLine {
            sku: one_line(&line.sku),
            quantity: line.quantity,
            price: amount(line.price),
        };
        Facts {
            recipient,
            order_id: self.id.to_string(),
            customer_id: one_line(&self.customer_id),
            state: self.state.word().to_owned(),
            total: amount(self.total),
            captured: amount(self.captured),
            refunded: amount(self.refunded),
            is_charged: self.captured > 0,
            reason: self.cancel_reason.map_or("", Word::word).replace('_', " "),
            items: self.items.iter().map(line).collect(),
        }
    }
}
