//! Who is told of something, and what becomes of an attempt. Pure.

use uuid::Uuid;

use super::model::{Attempted, Claimed, Concerned, NewNotification, NotificationState};
use crate::{
    notices::{Channel, Recipient, Routes, SendError, Trouble, address::mask},
    orders::{
        Order,
        state::{OrderState, PaymentState},
    },
};

/// Failures in a row after which a notification is parked: about two hours.
pub(super) const MOST_FAILURES: i32 = 20;

/// The longest pause between attempts, in seconds.
const LONGEST_PAUSE: f64 = 600.0;

/// The pause until a provider that is left alone may be asked, in seconds.
const UNASKED_PAUSE: f64 = 5.0;

/// The longest error that is kept.
const LONGEST_ERROR: usize = 500;

/// The notifications of a cause.
pub(crate) fn notifications(
    (cause, order_id, about): (Uuid, Uuid, &str),
    concerned: &Concerned,
    routes: &Routes,
) -> Vec<NewNotification> {
    let all = Recipient::ALL.into_iter();
    all.flat_map(|recipient| {
        let channels = routes.channels(about, recipient).iter();
        channels.flat_map(move |channel| to_one((cause, order_id, about), concerned, routes, recipient, *channel))
    })
    .collect()
}

/// Those to one kind of recipient by one channel; none where no address is known.
pub(crate) fn to_one(
    (cause, order_id, about): (Uuid, Uuid, &str),
    concerned: &Concerned,
    routes: &Routes,
    recipient: Recipient,
    channel: Channel,
) -> Vec<NewNotification> {
    let addresses: Vec<(Option<String>, String)> = match (recipient, channel) {
        (Recipient::Operator, _) => routes.operator_address(channel).map(|to| (None, to)).into_iter().collect(),
        (Recipient::Seller, Channel::Email) => {
            concerned.sellers.iter().map(|(id, email)| (Some(id.clone()), email.clone())).collect()
        }
        (Recipient::Seller, Channel::Sms | Channel::Push) => Vec::new(),
        (Recipient::Customer, Channel::Email) => concerned.contact.email.iter().map(|to| (None, to.clone())).collect(),
        (Recipient::Customer, Channel::Sms) => concerned.contact.phone.iter().map(|to| (None, to.clone())).collect(),
        // Who pushes knows the customer's devices.
        (Recipient::Customer, Channel::Push) => vec![(None, concerned.customer_id.clone())],
        (_, Channel::Webhook | Channel::Log) => vec![(None, String::new())],
    };
    let locale = concerned.contact.locale.clone().filter(|_| recipient == Recipient::Customer);
    let new = |(seller_id, address)| {
        let (about, locale) = (about.to_owned(), locale.clone());
        NewNotification { cause, order_id, about, recipient, seller_id, channel, address, locale }
    };
    addresses.into_iter().map(new).collect()
}

/// Whether what somebody asks to tell of an order is true: not of what it comes to by itself within moments (placed, captured),
/// but of what others do, and of its end.
pub(crate) fn has_happened(about: &str, order: &Order) -> bool {
    match about {
        "order.shipped" => {
            order.dispatched_at.is_some() || matches!(order.state, OrderState::Shipped | OrderState::Delivered)
        }
        "order.delivered" => order.state == OrderState::Delivered,
        "order.cancelling" => order.cancel_reason.is_some(),
        "order.cancelled" => order.state == OrderState::Cancelled,
        "payment.failed" => order.payment_state == PaymentState::Failed,
        "payment.refunded" => order.refunded > 0,
        _ => true,
    }
}

/// What becomes of a notification after an attempt.
pub(super) fn judge(claimed: &Claimed, sent: Result<String, SendError>) -> Attempted {
    let Claimed { id, attempt, failures, .. } = *claimed;
    let base = Attempted {
        id,
        attempt,
        state: NotificationState::Sent,
        failures: 0,
        pause_s: 0.0,
        provider: None,
        error: None,
    };
    let error = match sent {
        Ok(provider) => return Attempted { provider: Some(provider), ..base },
        Err(error) => error,
    };
    let counted = failures.saturating_add(i32::from(error.trouble != Trouble::Unasked));
    let parked = error.trouble == Trouble::Lasting || counted >= MOST_FAILURES;
    let pause_s = match error.trouble {
        Trouble::Unasked => UNASKED_PAUSE,
        _ => 2_f64.powi(counted.min(16)).min(LONGEST_PAUSE),
    };
    let state = if parked { NotificationState::Parked } else { NotificationState::Failed };
    Attempted { state, failures: counted, pause_s, error: Some(hide(&error.message, &claimed.address)), ..base }
}

/// An error without the address, which servers like to repeat.
fn hide(error: &str, address: &str) -> String {
    let hidden = if address.is_empty() { error.to_owned() } else { error.replace(address, &mask(address)) };
    hidden.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::{EVENT_TYPES, notices::model::Contact, state::Word};

    fn claimed(failures: i32) -> Claimed {
        Claimed {
            id: Uuid::nil(),
            order_id: Uuid::nil(),
            about: "order.placed".to_owned(),
            recipient: Recipient::Customer,
            channel: Channel::Email,
            address: "ada@example.com".to_owned(),
            locale: None,
            attempt: 3,
            failures,
        }
    }

    #[test]
    fn only_who_has_an_address_is_told() {
        let cause = (Uuid::nil(), Uuid::nil(), "order.placed");
        let routes = Routes::default();
        assert!(notifications(cause, &Concerned::default(), &routes).is_empty());
        let (email, locale) = (Some("ada@example.com".to_owned()), Some("de".to_owned()));
        let concerned = Concerned {
            contact: Contact { email, locale, phone: None },
            sellers: vec![("s1".to_owned(), "s@example.com".to_owned())],
            ..Concerned::default()
        };
        let made = notifications(cause, &concerned, &routes);
        let made: Vec<_> =
            made.iter().map(|new| (new.recipient, new.address.as_str(), new.locale.as_deref())).collect();
        let seller = (Recipient::Seller, "s@example.com", None);
        assert_eq!(made, [(Recipient::Customer, "ada@example.com", Some("de")), seller]);
    }

    #[test]
    fn each_channel_reaches_people_at_their_own_address() {
        let (email, phone) = (Some("ada@example.com".to_owned()), Some("+491701234567".to_owned()));
        let seller = |id: &str| (id.to_owned(), format!("{id}@example.com"));
        let concerned = Concerned {
            customer_id: "ada".to_owned(),
            contact: Contact { email, phone, locale: Some("de".to_owned()) },
            sellers: vec![seller("s1"), seller("s2")],
        };
        let addresses = |recipient, channel| {
            let cause = (Uuid::nil(), Uuid::nil(), "order.placed");
            let made = to_one(cause, &concerned, &Routes::default(), recipient, channel);
            made.into_iter().map(|new| (new.seller_id.unwrap_or_default(), new.address)).collect::<Vec<_>>()
        };
        let to = |address: &str| vec![(String::new(), address.to_owned())];
        let sellers = vec![seller("s1"), seller("s2")];
        for (recipient, email, sms, push) in [
            (Recipient::Customer, to("ada@example.com"), to("+491701234567"), to("ada")),
            (Recipient::Seller, sellers, vec![], vec![]),
            (Recipient::Operator, vec![], vec![], vec![]),
        ] {
            let (webhook, log) = (to(""), to(""));
            let expected = [email, sms, push, webhook, log];
            assert_eq!(Channel::ALL.map(|channel| addresses(recipient, channel)), expected, "{recipient:?}");
        }
    }

    #[test]
    fn customer_and_seller_are_told_every_state() {
        let routes = Routes::default();
        for event in EVENT_TYPES {
            let is_state = OrderState::WORDS.iter().any(|(_, word)| event.strip_prefix("order.") == Some(word));
            let channels: &[Channel] = if is_state { &[Channel::Email] } else { &[] };
            for recipient in [Recipient::Customer, Recipient::Seller] {
                assert_eq!(routes.channels(event, recipient), channels, "{event}");
            }
        }
    }

    #[test]
    fn passing_trouble_is_tried_again_after_growing_pauses() {
        let after = |failures| judge(&claimed(failures), Err(SendError::passing("busy")));
        assert_eq!([0, 1, 5, 15].map(|failures| after(failures).pause_s), [2.0, 4.0, 64.0, 600.0]);
        assert_eq!(after(0).state, NotificationState::Failed);
        assert_eq!(after(MOST_FAILURES - 1).state, NotificationState::Parked);
    }

    #[test]
    fn lasting_trouble_parks_at_once_without_the_address() {
        let judged = judge(&claimed(0), Err(SendError::lasting("550 <ada@example.com>\r\nunknown")));
        assert_eq!(judged.state, NotificationState::Parked);
        assert_eq!(judged.error.as_deref(), Some("550 <a***@example.com>unknown"));
    }

    #[test]
    fn waiting_for_a_provider_is_no_failure() {
        let unasked = SendError { trouble: Trouble::Unasked, message: "left alone".to_owned() };
        let judged = judge(&claimed(MOST_FAILURES - 1), Err(unasked));
        assert_eq!((judged.state, judged.failures), (NotificationState::Failed, MOST_FAILURES - 1));
    }
}
