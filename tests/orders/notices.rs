//! Notices: made once of each event, and brought to a real mail server, however it behaves.

use std::time::Duration;

use backstitch::{
    Secret,
    engine::{BreakerMode, BreakerState, Engine, MaintenanceConfig, Operator, Registry, outbox::NewEvent},
    notices::{Channel, NoticeSettings, Recipient},
    orders::{
        Contact, Notices, Notification, NotificationFilter, NotificationState, Orders, PlaceOrder, Seller,
        SendNotification, ShopSettings,
        state::{CancelBy, OrderState},
    },
};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::{
    mail::{MailServer, by_mail},
    shop::Shop,
    support::{shop::order_request, wait_for_within},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A shop that tells people, by so many workers.
pub(crate) struct Teller {
    pub(crate) shop: Shop,
    engine: Engine,
    pub(crate) orders: Orders,
    stop: CancellationToken,
    _stops: DropGuard,
}

impl Teller {
    pub(crate) async fn open(settings: &NoticeSettings, workers: usize) -> Self {
        Self::over(Shop::without_worker().await, settings, workers).await
    }

    async fn over(shop: Shop, settings: &NoticeSettings, workers: usize) -> Self {
        shop.stock("tea", 100_000).await;
        let notices = Notices::open(settings).expect("usable settings");
        let engine = Engine::new(shop.pool.clone(), Registry::new()).with_local_sink(notices.sink());
        let orders = Orders::new(engine.clone(), ShopSettings::default()).with_notices(notices);
        let stop = CancellationToken::new();
        let (maintained, stopped) = (engine.clone(), stop.clone());
        tokio::spawn(
            async move { maintained.maintenance(MaintenanceConfig::default()).run(stopped.cancelled()).await },
        );
        wait_for_within(PATIENCE, "the sink has begun", async || {
            let sinks = engine.sinks().await.map_err(|error| error.to_string())?;
            if sinks.iter().any(|sink| sink.name == "notices") { Ok(()) } else { Err(format!("{sinks:?}")) }
        })
        .await;
        let teller = Self { shop, engine, orders, stop: stop.clone(), _stops: stop.drop_guard() };
        (0..workers).for_each(|_| teller.work());
        teller
    }

    /// With one more worker.
    pub(crate) fn work(&self) {
        let (orders, stopped) = (self.orders.clone(), self.stop.clone());
        tokio::spawn(async move { orders.deliver_notices(stopped.cancelled()).await });
    }

    /// An order of somebody, of which an event then says that it is placed.
    pub(crate) async fn place(&self, email: &str) -> Uuid {
        let (email, locale) = (Some(email.to_owned()), Some("de".to_owned()));
        let contact = Some(Contact { email, locale, phone: None });
        let request = PlaceOrder { contact, ..order_request("tok_ok", &[("tea", 1)]) };
        let id = self.orders.place(&request, None).await.expect("an order").order.id;
        self.emit(id, "order.placed").await;
        id
    }

    async fn emit(&self, order: Uuid, about: &'static str) {
        let event = NewEvent::new(about, order.to_string(), "test", &json!({})).expect("an event");
        let mut tx = self.engine.begin().await.expect("a transaction");
        self.engine.emit_in(&mut tx, &[event]).await.expect("it is emitted");
        tx.commit().await.expect("it is committed");
    }

    /// All that somebody is told of an order, the latest first.
    async fn notices_of(&self, order: Uuid) -> Vec<Notification> {
        let filter = NotificationFilter { order_id: Some(order), ..NotificationFilter::default() };
        self.orders.notifications(&filter).await.expect("a page").items
    }

    /// What was sent of an order's placing.
    async fn sent(&self, order: Uuid) -> Vec<Notification> {
        self.notices_of(order).await.into_iter().filter(|one| one.about == "order.placed").collect()
    }

    /// Waits until a notice of an order fails: the first one, which holds up the others.
    async fn until_one_fails(&self, order: Uuid) -> Notification {
        wait_for_within(PATIENCE, "a notice fails", async || {
            let made = self.notices_of(order).await;
            let found = made.iter().find(|one| one.state == NotificationState::Failed);
            found.cloned().ok_or_else(|| format!("{made:?}"))
        })
        .await
    }

    pub(crate) async fn until(&self, order: Uuid, state: NotificationState) -> Notification {
        wait_for_within(PATIENCE, "the notice is in this state", async || {
            let sent = self.sent(order).await;
            let found = sent.iter().find(|one| one.state == state);
            found.cloned().ok_or_else(|| format!("{sent:?}"))
        })
        .await
    }
}

fn placed<'a>(mails: &'a [Value], to: &str) -> Vec<&'a Value> {
    let is_placing = |mail: &&Value| {
        let text = mail["text"].as_str().unwrap_or_default();
        mail["to"] == to && (text.contains("bezahlt") || text.contains("to be sent"))
    };
    mails.iter().filter(is_placing).collect()
}

#[tokio::test]
async fn an_event_is_told_once_by_two_workers() {
    let Some(server) = MailServer::start() else { return };
    let teller = Teller::open(&by_mail(&server), 2).await;
    let seller = Some(Seller { id: "s1".to_owned(), email: Some("seller@example.com".to_owned()) });
    let item: Value = json!({"name": "tea", "price": 1000, "currency": "EUR", "on_hand": 100_000, "seller": seller});
    teller.orders.put_item("tea", &serde_json::from_value(item).expect("an item")).await.expect("it is put");
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push((n, teller.place(&format!("c{n}@example.com")).await));
    }
    for (n, order) in ids {
        let sent = teller.until(order, NotificationState::Sent).await;
        assert_eq!((sent.attempts, sent.provider.as_deref(), sent.last_error), (1, Some("smtp"), None));
        assert!(sent.sent_at >= Some(sent.created_at) && sent.next_attempt_at.is_none());
        wait_for_within(PATIENCE, "both are sent", async || {
            let sent = teller.sent(order).await;
            let all = sent.len() == 2 && sent.iter().all(|one| one.state == NotificationState::Sent);
            if all { Ok(()) } else { Err(format!("{sent:?}")) }
        })
        .await;
        let sent = teller.sent(order).await;
        let customer = sent.iter().find(|one| one.recipient == Recipient::Customer).expect("the customer is sent");
        assert_eq!(customer.to, "c***@example.com");
        let mails = server.mails();
        let mails = placed(&mails, &format!("c{n}@example.com"));
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert_eq!(mails[0]["id"], format!("<{}@example.com>", customer.id));
        assert!(mails[0]["text"].as_str().is_some_and(|text| text.contains("1 × tea, je 10,00 EUR")), "{mails:?}");
    }
    let mails = server.mails();
    assert_eq!(placed(&mails, "seller@example.com").len(), 40);
}

#[tokio::test]
async fn a_killed_mail_server_loses_no_notice() {
    let Some(mut server) = MailServer::start() else { return };
    let teller = Teller::open(&by_mail(&server), 2).await;
    let mut ids = Vec::new();
    for n in 0..90 {
        match n {
            30 => server.kill(),
            60 => server.run(),
            _ => {}
        }
        ids.push((n, teller.place(&format!("c{n}@example.com")).await));
    }
    for (n, order) in ids {
        let sent = teller.until(order, NotificationState::Sent).await;
        let mails = server.mails();
        let mails = placed(&mails, &format!("c{n}@example.com"));
        let id = format!("<{}@example.com>", sent.id);
        assert!(!mails.is_empty() && mails.iter().all(|mail| mail["id"] == id), "{n}: {mails:?}");
    }
}

#[tokio::test]
async fn somebody_is_told_of_an_order_in_order() {
    let Some(server) = MailServer::start() else { return };
    server.trouble(true);
    let teller = Teller::open(&by_mail(&server), 2).await;
    let held_up = teller.place("busy@example.com").await;
    teller.emit(held_up, "order.shipped").await;
    let mut orders = Vec::new();
    for n in 0..20 {
        let order = teller.place(&format!("c{n}@example.com")).await;
        teller.emit(order, "order.shipped").await;
        orders.push((format!("c{n}@example.com"), order));
    }
    let all_sent = async |order: Uuid| {
        wait_for_within(PATIENCE, "all is sent", async || {
            let mut made = teller.notices_of(order).await;
            made.reverse();
            let is_sent = |one: &Notification| one.state == NotificationState::Sent;
            if made.len() >= 2 && made.iter().all(is_sent) { Ok(made) } else { Err(format!("{made:?}")) }
        })
        .await
    };
    let mut made = Vec::new();
    for (to, order) in orders {
        made.push((to, all_sent(order).await));
    }
    assert!(
        server.mails().iter().all(|mail| mail["to"] != "busy@example.com"),
        "what fails holds up its own order alone"
    );
    server.trouble(false);
    made.push(("busy@example.com".to_owned(), all_sent(held_up).await));
    let mails = server.mails();
    for (to, made) in made {
        let came: Vec<&str> =
            mails.iter().filter(|mail| mail["to"] == to).filter_map(|mail| mail["id"].as_str()).collect();
        let ids: Vec<String> = made.iter().map(|one| format!("<{}@example.com>", one.id)).collect();
        assert_eq!(came, ids, "{to}");
    }
}

#[tokio::test]
async fn the_seller_hears_of_an_archived_order() {
    let Some(server) = MailServer::start() else { return };
    let teller = Teller::over(Shop::open().await, &by_mail(&server), 0).await;
    let item = json!({"name": "tea", "price": 1000, "currency": "EUR", "on_hand": 100_000,
        "seller": {"id": "s1", "email": "seller@example.com"}});
    teller.orders.put_item("tea", &serde_json::from_value(item).expect("an item")).await.expect("it is put");
    let id = teller.shop.order("tok_ok", 1).await;
    teller.shop.until(id, "it is placed", |order| order.state == OrderState::Placed).await;
    teller.shop.cancel(id, CancelBy::Seller).await.expect("accepted");
    teller.shop.until(id, "it is archived", |order| order.archived).await;
    teller.emit(id, "order.placed").await;
    teller.work();
    wait_for_within(PATIENCE, "the seller is told of what was ordered", async || {
        let mails = server.mails();
        let mails_to_seller = placed(&mails, "seller@example.com");
        let is_told = |mail: &&Value| mail["text"].as_str().is_some_and(|text| text.contains("1 × tea"));
        if mails_to_seller.iter().filter(|mail| is_told(mail)).count() == 2 {
            Ok(())
        } else {
            Err(format!("{mails:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_mail_is_parked_and_can_be_sent_again() {
    let Some(server) = MailServer::start() else { return };
    server.trouble(true);
    let teller = Teller::open(&by_mail(&server), 1).await;
    let (refused, busy) = (teller.place("refuse@example.com").await, teller.place("busy@example.com").await);
    let parked = teller.until(refused, NotificationState::Parked).await;
    let why = parked.last_error.as_deref().unwrap_or_default();
    assert!(why.contains("unknown") && !why.contains("refuse@"), "{why}");
    let failed = teller.until_one_fails(busy).await;
    let pause = failed.next_attempt_at.map(|next| next - failed.created_at);
    assert!(pause.is_some_and(|pause| pause.num_milliseconds() >= 2_000), "{failed:?}");
    assert_eq!((parked.next_attempt_at, parked.sent_at), (None, None));
    server.trouble(false);
    let again = teller.orders.resend_notification(parked.id).await.expect("it is sent again");
    assert_eq!((again.id, again.state), (parked.id, NotificationState::Pending));
    teller.until(refused, NotificationState::Sent).await;
    teller.until(busy, NotificationState::Sent).await;
    let mails = server.mails();
    let mails = placed(&mails, "refuse@example.com");
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["id"], format!("<{}@example.com>", parked.id));
}

#[tokio::test]
async fn a_second_mail_server_stands_in_for_the_first() {
    let Some(server) = MailServer::start() else { return };
    let file = server.folder.join("notices.json");
    let second = json!({"providers": {"email": [{"name": "second", "url": server.url()}]}});
    std::fs::write(&file, second.to_string()).expect("a file");
    // It takes a connection and never says a word of SMTP.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("smtp://{}", silent.local_addr().expect("it is bound"));
    let settings = NoticeSettings { smtp_url: Some(Secret::new(url)), notices: Some(file), ..by_mail(&server) };
    let teller = Teller::open(&settings, 1).await;
    let sent = teller.place("ada@example.com").await;
    assert_eq!(teller.until(sent, NotificationState::Sent).await.provider.as_deref(), Some("second"));
}

#[tokio::test]
async fn an_address_with_a_line_break_changes_nothing() {
    let teller = Teller::open(&NoticeSettings::default(), 1).await;
    let contact = |email: &str| Contact { email: Some(email.to_owned()), ..Contact::default() };
    let request = PlaceOrder {
        contact: Some(contact("ada@example.com\r\nBcc: eve@example.com")),
        ..order_request("tok_ok", &[("tea", 1)])
    };
    let error = teller.orders.place(&request, None).await.expect_err("it is refused");
    assert_eq!(error.code(), "invalid_request");
    assert!(error.to_string().contains("contact.email has a line break"), "{error}");
    let item =
        json!({"name": "tea", "price": 1, "currency": "EUR", "on_hand": 1, "seller": {"id": "s", "email": "a\n@b.c"}});
    let item = serde_json::from_value(item).expect("an item");
    let error = teller.orders.put_item("tea", &item).await.expect_err("it is refused");
    assert!(error.to_string().contains("seller.email"), "{error}");
    assert_eq!(teller.shop.item("tea").await.price, 1000);
}

#[tokio::test]
async fn an_operator_tells_somebody_of_an_order() {
    let teller = Teller::open(&NoticeSettings::default(), 1).await;
    let order = teller.shop.order("tok_ok", 1).await;
    let (about, recipient) = ("order.placed".to_owned(), Recipient::Customer);
    let request = SendNotification { order_id: order, about, recipient, channel: None };
    let error = teller.orders.send_notification(&request, None).await.expect_err("no address is known");
    assert!(error.to_string().contains("no address of the customer"), "{error}");
    let request = SendNotification { channel: Some(Channel::Log), ..request };
    let (made, is_new) = teller.orders.send_notification(&request, None).await.expect("it is made");
    assert!(made.items.len() == 1 && is_new);
    assert_eq!(teller.until(order, NotificationState::Sent).await.provider.as_deref(), Some("log"));
    for about in [
        "order.shipped",
        "order.delivered",
        "order.cancelling",
        "order.cancelled",
        "payment.failed",
        "payment.refunded",
    ] {
        let untrue = SendNotification { about: about.to_owned(), ..request.clone() };
        let error = teller.orders.send_notification(&untrue, None).await.expect_err("it has not happened");
        assert_eq!(error.code(), "wrong_state", "{about}");
    }
    let request = SendNotification { about: "order.lost".to_owned(), ..request };
    assert_eq!(
        teller.orders.send_notification(&request, None).await.expect_err("no template").code(),
        "invalid_request"
    );
    let error = teller.orders.resend_notification(Uuid::nil()).await.expect_err("it is not there");
    assert_eq!(error.code(), "unknown_notification");
}

#[tokio::test]
async fn the_same_key_tells_somebody_once() {
    let teller = Teller::open(&NoticeSettings::default(), 1).await;
    let order = teller.shop.order("tok_ok", 1).await;
    let (about, recipient) = ("order.placed".to_owned(), Recipient::Operator);
    let request = SendNotification { order_id: order, about, recipient, channel: Some(Channel::Log) };
    let ask = async |request: &SendNotification| teller.orders.send_notification(request, Some("k1")).await;
    let all = futures_util::future::join_all((0..8).map(|_| ask(&request))).await;
    let all: Vec<_> = all.into_iter().map(|made| made.expect("it is taken")).collect();
    assert_eq!(all.iter().filter(|(_, is_new)| *is_new).count(), 1, "one of eight made it");
    assert!(all.iter().all(|(found, _)| found.items.len() == 1 && found.items[0].id == all[0].0.items[0].id));
    let other = SendNotification { about: "order.shipped".to_owned(), ..request.clone() };
    assert_eq!(ask(&other).await.expect_err("another request").code(), "key_conflict");
    let (other, is_new) = teller.orders.send_notification(&request, Some("k2")).await.expect("another key");
    assert!(is_new && other.items[0].id != all[0].0.items[0].id);
    let entries: i64 = sqlx::query_scalar("SELECT count(*) FROM backstitch.audit WHERE action = 'send_notification'")
        .fetch_one(&teller.shop.pool)
        .await
        .expect("a count");
    assert_eq!(entries, 2);
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_by_all() {
    let gone = format!("smtp://{}", crate::support::process::free_address());
    let (smtp_url, mail_from) = (Some(Secret::new(gone)), Some("shop@example.com".to_owned()));
    let settings = NoticeSettings { smtp_url, mail_from, ..NoticeSettings::default() };
    let teller = Teller::open(&settings, 1).await;
    for n in 0..6 {
        teller.place(&format!("c{n}@example.com")).await;
    }
    // Another process knows by the database alone.
    let other = Engine::new(teller.shop.pool.clone(), Registry::new());
    wait_for_within(PATIENCE, "the breaker is open", async || {
        let breakers = other.breakers().await.map_err(|error| error.to_string())?;
        let known = breakers.iter().find(|known| known.scope == "notice/smtp");
        let state = known.and_then(|known| known.operations.first()).map(|breaker| breaker.state);
        if state.is_some_and(|state| state != BreakerState::Closed) { Ok(()) } else { Err(format!("{breakers:?}")) }
    })
    .await;
    let seen = teller.orders.notice_breakers().await.expect("the breakers");
    assert_eq!(seen.iter().map(|known| known.scope.as_str()).collect::<Vec<_>>(), ["notice/smtp"]);
    let late = teller.place("late@example.com").await;
    wait_for_within(PATIENCE, "nobody asks it", async || {
        let sent = teller.notices_of(late).await;
        let errors: Vec<&str> = sent.iter().filter_map(|one| one.last_error.as_deref()).collect();
        if errors.iter().any(|error| error.contains("its breaker is open")) { Ok(()) } else { Err(format!("{sent:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_provider_an_operator_holds_back_gets_nothing() {
    let Some(server) = MailServer::start() else { return };
    let teller = Teller::open(&by_mail(&server), 1).await;
    let other = Engine::new(teller.shop.pool.clone(), Registry::new());
    let by = Operator::new("ops", Some("it sends everything twice"), false).expect("an operator");
    other.set_breaker("notice/smtp", BreakerMode::Open, &by).await.expect("it is set");
    wait_for_within(PATIENCE, "the teller knows", async || {
        match teller.engine.breaker("notice/smtp", "email").admit().await {
            Err(held) if held.by_operator => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let order = teller.place("ada@example.com").await;
    let failed = teller.until_one_fails(order).await;
    assert!(failed.last_error.as_deref().is_some_and(|why| why.contains("an operator")), "{failed:?}");
    assert_eq!(server.mails().len(), 0);
    other.set_breaker("notice/smtp", BreakerMode::Auto, &by).await.expect("it is set");
    teller.until(order, NotificationState::Sent).await;
}

#[tokio::test]
async fn an_event_that_comes_again_is_told_once() {
    let teller = Teller::open(&NoticeSettings::default(), 1).await;
    let first = teller.place("ada@example.com").await;
    let notice = teller.until(first, NotificationState::Sent).await;
    let back = "UPDATE backstitch.event_sink SET sequence = 0, token = gen_random_uuid(), leased_until = '-infinity'";
    sqlx::query(back).execute(&teller.shop.pool).await.expect("it begins anew");
    let second = teller.place("grace@example.com").await;
    teller.until(second, NotificationState::Sent).await;
    let sent = teller.sent(first).await;
    assert_eq!(sent.iter().map(|one| one.id).collect::<Vec<_>>(), [notice.id]);
}
