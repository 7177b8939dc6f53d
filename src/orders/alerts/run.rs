//! Looking, deciding and sending, over and over.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    decide::{Decision, decide},
    look::look,
    model::ClaimedMessage,
    words,
};
use crate::{
    notices::Alarm,
    orders::{Error, Orders, notices::Notices, store},
};

/// How often it is decided what is news, by all processes together.
const DECIDE_EVERY: TimeDelta = TimeDelta::seconds(10);
/// How often a process sees whether that is due, and whether a message is.
const TURN_EVERY: Duration = Duration::from_secs(2);
/// How often, while the database does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// It rests for so many times as long as a look took: a database that is slow is left alone.
const RESTS_FOR_TIMES: u32 = 10;
/// Sent at a time.
const BATCH: i64 = 16;
/// How long a process has for them, in seconds: longer than all providers of mails take.
const CLAIMED_FOR_S: f64 = 120.0;
/// The longest pause between attempts, in seconds.
const LONGEST_PAUSE_S: f64 = 600.0;
/// The longest error that is kept.
const LONGEST_ERROR: usize = 500;

/// Tells operators what needs them, for ever; ends at once if nobody is to be told.
pub(in crate::orders) async fn run(orders: &Orders, notices: &Notices) {
    let mut rests_until = Instant::now();
    while notices.targets.names().next().is_some() {
        let pause = match turn(orders, notices, &mut rests_until).await {
            Ok(()) => TURN_EVERY,
            Err(error) => {
                tracing::debug!(%error, "can't tell operators yet");
                TRY_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn turn(orders: &Orders, notices: &Notices, rests_until: &mut Instant) -> Result<(), Error> {
    let began = Instant::now();
    if began >= *rests_until && decide_due(orders, notices).await? {
        *rests_until = Instant::now() + began.elapsed() * RESTS_FOR_TIMES;
    }
    send_due(orders, notices).await
}

/// Decides what is news, where nobody has lately; gives whether it looked.
async fn decide_due(orders: &Orders, notices: &Notices) -> Result<bool, Error> {
    let engine = orders.engine();
    let (decided_at, now) = store::alerts::decided_at(&mut *engine.acquire().await?).await?;
    if now - decided_at < DECIDE_EVERY {
        return Ok(false);
    }
    let look = look(orders).await?;
    let mut tx = engine.begin().await?;
    let decided_at = store::alerts::lock(&mut tx).await?;
    // After the wait for the lock.
    let now = store::now(&mut tx).await?;
    if now - decided_at < DECIDE_EVERY {
        return Ok(true);
    }
    let before = store::alerts::known(&mut tx).await?;
    let sent = store::alerts::told_since(&mut tx, now - TimeDelta::hours(1)).await?;
    let Decision { messages, known } = decide(now, (&look.found, look.complete), before.clone(), &sent);
    if known != before {
        store::alerts::save(&mut tx, &known).await?;
    }
    for news in &messages {
        let written = words::write(Uuid::now_v7(), now, news, &notices.targets);
        store::alerts::insert_messages(&mut tx, now, &written).await?;
    }
    let given_up = store::alerts::end_turn(&mut tx, now).await?;
    tx.commit().await?;
    if given_up > 0 {
        tracing::error!(given_up, "alerts that nobody has taken for a day are given up: see BACKSTITCH_ALERTS");
    }
    Ok(true)
}

async fn send_due(orders: &Orders, notices: &Notices) -> Result<(), Error> {
    let engine = orders.engine();
    let names: Vec<&str> = notices.targets.names().collect();
    let claimed = store::alerts::claim(&mut *engine.acquire().await?, &names, BATCH, CLAIMED_FOR_S).await?;
    let sent = claimed.iter().map(|claimed| send(notices, claimed));
    for (claimed, sent) in claimed.iter().zip(join_all(sent).await) {
        let mut conn = engine.acquire().await?;
        match sent {
            Ok(()) => store::alerts::record_sent(&mut conn, claimed).await?,
            Err(error) => {
                tracing::warn!(id = %claimed.message.id, attempt = claimed.attempt, "an alert could not be sent");
                store::alerts::record_failed(&mut conn, claimed, &error, pause_after(claimed.attempt)).await?;
            }
        }
    }
    Ok(())
}

async fn send(notices: &Notices, claimed: &ClaimedMessage) -> Result<(), String> {
    let message = &claimed.message;
    let (subject, text, body) = (message.subject.clone(), message.text.clone(), message.body.clone());
    let alarm = Alarm { id: message.id, subject, text, body };
    let sent = notices.targets.send(&notices.post, &message.target, &alarm).await;
    sent.map_err(|error| error.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect())
}

/// In seconds. Whatever failed may be set right: it is tried again as long as it is worth telling.
fn pause_after(attempt: i32) -> f64 {
    2_f64.powi(attempt.clamp(1, 16)).min(LONGEST_PAUSE_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_ten_minutes() {
        assert_eq!([1, 2, 5, 30].map(pause_after), [2.0, 4.0, 32.0, 600.0]);
    }
}
