//! Providers of notices that misbehave: mail servers, and the HTTP APIs of text and push messages. What may pass is tried again,
//! what will not is not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use backstitch::{
    Secret,
    notices::{Channel, Message, NoticeSettings, Post, Recipient, SendError, Trouble},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use crate::mail::{MailServer, by_mail};

fn message(to: &str) -> Message {
    let (about, subject, text) = ("order.placed".to_owned(), "placed".to_owned(), "It is paid.".to_owned());
    let (id, order_id, recipient) = (Uuid::now_v7(), Some(Uuid::nil()), Recipient::Customer);
    Message { id, about, order_id, recipient, to: to.to_owned(), subject, text }
}

/// A server that greets with this and answers every command with that; nothing: it hangs.
async fn speaking(greeting: Option<&'static str>, answer: &'static str) -> NoticeSettings {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://u:hidden@{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            match greeting {
                Some(greeting) => drop(tokio::spawn(speak(stream, greeting, answer))),
                None => kept.push(stream),
            }
        }
    });
    let (smtp_url, mail_from) = (Some(Secret::new(url)), Some("Shop <shop@example.com>".to_owned()));
    NoticeSettings { smtp_url, mail_from, ..NoticeSettings::default() }
}

async fn speak(mut stream: TcpStream, greeting: &str, answer: &str) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let _ = write.write_all(greeting.as_bytes()).await;
    while let Ok(Some(line)) = lines.next_line().await {
        let hello = line.to_ascii_uppercase().starts_with("EHLO");
        let said = if hello { "250-here\r\n250 AUTH PLAIN LOGIN\r\n" } else { answer };
        if write.write_all(said.as_bytes()).await.is_err() {
            break;
        }
    }
}

#[tokio::test]
async fn a_mail_server_in_trouble_is_tried_again() {
    for (greeting, answer) in [
        (Some("HTTP/1.1 400 Bad Request\r\n\r\n"), ""),
        (Some("\u{0}\u{1}\u{fffd}\r\n"), ""),
        (Some("421 closing\r\n"), ""),
        (Some("554 no service here\r\n"), ""),
        (Some("220 here\r\n"), "535 5.7.8 a wrong password\r\n"),
        (Some("220 here\r\n"), "451 later\r\n"),
        (Some("220 here\r\n"), "what?\r\n"),
        (None, ""),
    ] {
        let post = speaking(greeting, answer).await.open().expect("usable").post;
        let error = post.send(Channel::Email, &message("ada@example.com")).await.expect_err("nobody has taken it");
        assert_eq!(error.trouble, Trouble::Passing, "{greeting:?} {answer:?}: {error}");
        assert!(!error.message.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_is_not_tried_again() {
    let Some(server) = MailServer::start() else { return };
    server.trouble(true);
    let post = by_mail(&server).open().expect("usable").post;
    let error = post.send(Channel::Email, &message("refuse@example.com")).await.expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::Lasting, "{error}");
    let error = post.send(Channel::Email, &message("busy@example.com")).await.expect_err("it is busy");
    assert_eq!(error.trouble, Trouble::Passing, "{error}");
}

/// A provider's API that answers as it is told, and keeps what it got.
#[derive(Clone, Default)]
struct Simulator {
    status: Arc<Mutex<u16>>,
    got: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

async fn take(State(simulator): State<Simulator>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    simulator.got.lock().expect("no panic").push((headers, body));
    StatusCode::from_u16(*simulator.status.lock().expect("no panic")).expect("a status")
}

impl Simulator {
    /// It, and messages by it.
    async fn start() -> (Self, Post) {
        let simulator = Self { status: Arc::new(Mutex::new(202)), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/send", listener.local_addr().expect("it is bound"));
        let app = Router::new().route("/send", post(take)).with_state(simulator.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let api = |name: &str| json!([{"name": name, "url": url, "key": "hidden"}]);
        let file = std::env::temp_dir().join(format!("providers-{}.json", Uuid::now_v7()));
        std::fs::write(&file, json!({"providers": {"sms": api("a"), "push": api("b")}}).to_string()).expect("a file");
        let settings = NoticeSettings { notices: Some(file.clone()), ..NoticeSettings::default() };
        let post = settings.open().expect("usable").post;
        std::fs::remove_file(file).expect("it is there");
        (simulator, post)
    }

    async fn answers(
        &self,
        status: u16,
        post: &Post,
        channel: Channel,
        message: &Message,
    ) -> Result<String, SendError> {
        *self.status.lock().expect("no panic") = status;
        post.send(channel, message).await
    }
}

#[tokio::test]
async fn text_and_push_messages_carry_id_and_key() {
    let (simulator, post) = Simulator::start().await;
    for (channel, name, to) in [(Channel::Sms, "a", "+491701234567"), (Channel::Push, "b", "customer-1")] {
        let message = message(to);
        assert_eq!(simulator.answers(202, &post, channel, &message).await, Ok(name.to_owned()));
        let (headers, body) = simulator.got.lock().expect("no panic").pop().expect("it got one");
        let header = |name: &str| headers[name].to_str().expect("a text").to_owned();
        assert_eq!(
            (header("idempotency-key"), header("authorization")),
            (message.id.to_string(), "Bearer hidden".into())
        );
        assert_eq!(
            (&body["to"], &body["subject"], &body["text"]),
            (&json!(to), &json!("placed"), &json!("It is paid."))
        );
        assert_eq!((&body["about"], &body["recipient"]), (&json!("order.placed"), &json!("customer")));
    }
}

#[tokio::test]
async fn a_settings_own_provider_comes_before_the_files() {
    let file = std::env::temp_dir().join(format!("providers-{}.json", Uuid::now_v7()));
    let more = json!({"providers": {"webhook": [{"name": "a", "url": "http://127.0.0.1:1/"}]}});
    std::fs::write(&file, more.to_string()).expect("a file");
    let notices_url = Some(Secret::new("http://127.0.0.1:2/"));
    let settings = NoticeSettings { notices_url, notices: Some(file.clone()), ..NoticeSettings::default() };
    let post = settings.open().expect("usable").post;
    std::fs::remove_file(file).expect("it is there");
    let names: Vec<String> = post.providers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["log", "webhook", "a"]);
    let error = post.send(Channel::Webhook, &message("")).await.expect_err("nobody is there");
    assert!(error.message.starts_with("webhook: ") && error.message.contains("; a: "), "{error}");
}

#[tokio::test]
async fn what_an_api_answers_says_whether_to_try_again() {
    let (simulator, post) = Simulator::start().await;
    let message = message("+491701234567");
    let trouble = async |status| {
        let error = simulator.answers(status, &post, Channel::Sms, &message).await.expect_err("it is not taken");
        assert!(error.message.contains(&status.to_string()) && !error.message.contains("hidden"), "{error}");
        error.trouble
    };
    for status in [400, 410, 413, 422] {
        assert_eq!(trouble(status).await, Trouble::Lasting, "{status}");
    }
    // A wrong key, a wrong address, a redirect, too many, a crash: the message is good.
    for status in [302, 401, 403, 404, 408, 429, 500, 503] {
        assert_eq!(trouble(status).await, Trouble::Passing, "{status}");
    }
    let ids = simulator
        .got
        .lock()
        .expect("no panic")
        .iter()
        .map(|(headers, _)| headers["idempotency-key"].clone())
        .collect::<Vec<_>>();
    assert!(ids.len() == 12 && ids.iter().all(|id| *id == ids[0]), "each repeat has the same id");
}

#[tokio::test]
async fn an_api_that_hangs_or_is_gone_is_tried_again() {
    for hangs in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/send?token=hidden", listener.local_addr().expect("it is bound"));
        let kept = if hangs { Some(listener) } else { None };
        let settings = NoticeSettings { notices_url: Some(Secret::new(url)), ..NoticeSettings::default() };
        let post = settings.open().expect("usable").post;
        let began = std::time::Instant::now();
        let error = post.send(Channel::Webhook, &message("")).await.expect_err("nobody answers");
        assert_eq!(error.trouble, Trouble::Passing);
        assert!(!error.message.contains("hidden") && began.elapsed() < Duration::from_secs(20), "{error}");
        drop(kept);
    }
}
