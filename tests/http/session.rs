//! Browsers: signing in and out, and what other sites' pages can't make them do.

use std::time::Duration;

use backstitch::engine::{NewKey, Role};
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    server::{Answer, Server},
    support::wait_until,
};

/// A client that follows no redirects and keeps no cookies: the tests look at both.
fn plain() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client")
}

async fn sign_in(server: &Server, key: &str, next: &str) -> reqwest::Response {
    let form = plain().post(format!("{}/login", server.url())).form(&[("key", key), ("next", next)]);
    form.send().await.expect("an answer")
}

/// The cookie of a fresh session, as it is to be sent, and its whole header.
async fn session(server: &Server, key: &str) -> (String, String) {
    let answer = sign_in(server, key, "/runs?status=stuck").await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()["location"], "/runs?status=stuck");
    let header = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    (header.split(';').next().expect("a pair").to_owned(), header)
}

fn post(server: &Server, cookie: &str, path: &str) -> RequestBuilder {
    server.request(Method::POST, path).header("cookie", cookie).header("content-type", "application/json").body("{}")
}

#[tokio::test]
async fn a_session_cookie_is_closed_to_others() {
    let (server, keys) = Server::keyed().await;
    let (cookie, header) = session(&server, keys.of(Role::Viewer)).await;
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(header.contains(part), "{header}");
    }
    assert!(!header.contains("Secure"), "on this machine there is no https: {header}");
    let read = Answer::to(server.request(Method::GET, "/v1/runs").header("cookie", &cookie)).await;
    assert_eq!(read.status, 200);
    let secret = cookie.split('=').nth(1).expect("a value").to_owned();
    let query = "SELECT count(*) FROM backstitch.session s WHERE s::text LIKE '%' || $1 || '%'";
    let kept: i64 = sqlx::query_scalar(query).bind(secret).fetch_one(server.pool()).await.expect("a count");
    assert_eq!(kept, 0, "the cookie itself is kept nowhere");

    let remote = plain().post(format!("{}/login", server.url())).header("host", "backstitch.example");
    let remote = remote.form(&[("key", keys.of(Role::Viewer))]).send().await.expect("an answer");
    assert!(remote.headers()["set-cookie"].to_str().expect("text").contains("; Secure"));
}

#[tokio::test]
async fn a_failed_sign_in_leads_nowhere() {
    let (server, keys) = Server::keyed().await;
    let wrong = sign_in(&server, "bsk_nonsense", "/").await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.headers().get("set-cookie").is_none());
    let text = wrong.text().await.expect("a page");
    assert!(text.contains("That did not work") && !text.contains("bsk_nonsense"), "{text}");
    for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example"] {
        let answer = sign_in(&server, keys.of(Role::Viewer), elsewhere).await;
        assert_eq!(answer.headers()["location"], "/", "{elsewhere}");
    }
    let page =
        plain().get(format!("{}/login?next=/runs%22%3E%3Cscript%3E", server.url())).send().await.expect("a page");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!page.text().await.expect("text").contains("<script"), "what came in the address is escaped");
}

#[tokio::test]
async fn a_session_ends_when_it_should() {
    let (server, keys) = Server::keyed().await;
    let read =
        async |cookie: &str| Answer::to(server.request(Method::GET, "/v1/runs").header("cookie", cookie)).await.status;
    let (cookie, _) = session(&server, keys.of(Role::Viewer)).await;
    assert_eq!(read(&cookie).await, 200);
    let out =
        plain().post(format!("{}/logout", server.url())).header("cookie", &cookie).send().await.expect("an answer");
    assert_eq!((out.status().as_u16(), out.headers()["location"].as_bytes()), (303, &b"/login"[..]));
    assert!(out.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(read(&cookie).await, 401, "the cookie is worth nothing after it");

    let (cookie, _) = session(&server, keys.of(Role::Starter)).await;
    let id = keys.of(Role::Starter)["bsk_".len()..].split('_').next().expect("an id").to_owned();
    assert_eq!(read(&cookie).await, 200);
    server.engine.revoke_key(&id, "test").await.expect("revokes");
    assert_eq!(read(&cookie).await, 401, "a session is worth what its key is worth");

    let (cookie, _) = session(&server, keys.of(Role::Operator)).await;
    let move_clock = "UPDATE backstitch.clock SET shift = shift + interval '13 hours'";
    sqlx::query(move_clock).execute(server.pool()).await.expect("the clock can be moved");
    assert_eq!(read(&cookie).await, 401, "twelve hours are over");
}

#[tokio::test]
async fn a_session_is_over_when_its_key_expires() {
    let (server, _) = Server::keyed().await;
    let new = NewKey { name: "brief".into(), role: Role::Viewer, expires_in: Some(Duration::from_secs(3600)) };
    let key = server.engine.create_key(&new, "test").await.expect("a key").token;
    let (early, _) = session(&server, &key).await;
    let (late, _) = session(&server, &key).await;
    let read =
        async |cookie: &str| Answer::to(server.request(Method::GET, "/v1/runs").header("cookie", cookie)).await.status;
    assert_eq!(read(&early).await, 200);
    let move_clock = "UPDATE backstitch.clock SET shift = shift + interval '61 minutes'";
    sqlx::query(move_clock).execute(server.pool()).await.expect("the clock can be moved");
    assert_eq!(read(&late).await, 401, "its own twelve hours are not");
    wait_until("what was believed of the other one is forgotten", async || read(&early).await == 401).await;
}

#[tokio::test]
async fn a_change_needs_the_sessions_token() {
    let (server, keys) = Server::keyed().await;
    let (cookie, _) = session(&server, keys.of(Role::Admin)).await;
    let csrf: String =
        sqlx::query_scalar("SELECT csrf FROM backstitch.session").fetch_one(server.pool()).await.expect("one session");
    let before = server.rows().await;
    let none = Answer::to(post(&server, &cookie, "/v1/runs")).await;
    none.is_problem(403, "forbidden");
    Answer::to(post(&server, &cookie, "/v1/runs").header("x-csrf-token", "00")).await.is_problem(403, "forbidden");
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let request = post(&server, &cookie, "/v1/runs").header("x-csrf-token", &csrf).header(name, value);
        Answer::to(request).await.is_problem(403, "forbidden");
    }
    assert_eq!(server.rows().await, before);
    let request = post(&server, &cookie, "/v1/runs").header("x-csrf-token", &csrf).header("origin", server.url());
    Answer::to(request).await.is_problem(400, "invalid_request"); // let in: the body is what is wrong
    let signed_out = plain().post(format!("{}/logout", server.url())).header("cookie", &cookie);
    let signed_out = signed_out.header("origin", "https://evil.example").send().await.expect("an answer");
    assert_eq!(signed_out.status(), 403, "another site signs nobody out");
}

#[tokio::test]
async fn a_form_needs_the_sessions_token() {
    let (server, keys) = Server::keyed().await;
    let key = keys.of(Role::Operator);
    let sent = async |method: Method, path: &str, body: Value| {
        let answer = Answer::to(server.request(method, path).bearer_auth(key).json(&body)).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.json);
        answer.json["id"].as_str().unwrap_or_default().to_owned()
    };
    let run = sent(Method::POST, "/v1/runs", json!({"workflow": "patient", "input": null, "tags": {"a": "b"}})).await;
    let request = json!({"action": "cancel", "filter": {"tag": "a"}, "reason": "r"});
    let operation = sent(Method::POST, "/v1/operations", request).await;
    let schedule = json!({"cron": "0 9 * * 1", "time_zone": "UTC", "workflow": "patient", "input": null});
    sent(Method::PUT, "/v1/schedules/weekly", schedule).await;
    let (cookie, _) = session(&server, key).await;
    let csrf: String =
        sqlx::query_scalar("SELECT csrf FROM backstitch.session").fetch_one(server.pool()).await.expect("one session");
    let parked = "INSERT INTO backstitch.received_event (id, source, event_id, type, state, body)
        VALUES ('00000000-0000-7000-8000-000000000000', 'crm', '1', 'say', 'parked', '{}')";
    sqlx::query(parked).execute(server.pool()).await.expect("a parked event");
    let forms: [(String, &[(&str, &str)]); 6] = [
        (format!("/runs/{run}/act/pause"), &[]),
        ("/fleet/hold".to_owned(), &[("kind", "queue"), ("name", "default")]),
        ("/operations/new".to_owned(), &[("action", "pause"), ("tag", "a")]),
        (format!("/operations/{operation}/pause"), &[]),
        ("/schedules/weekly/pause".to_owned(), &[]),
        ("/inbox/00000000-0000-7000-8000-000000000000/discard".to_owned(), &[]),
    ];
    for (path, fields) in forms {
        let send = async |token: Option<&str>| {
            let mut form = vec![("reason", "r")];
            form.extend_from_slice(fields);
            form.extend(token.map(|token| ("csrf", token)));
            let request = plain().post(format!("{}{path}", server.url())).header("cookie", &cookie).form(&form);
            request.send().await.expect("an answer").status().as_u16()
        };
        let before = server.rows().await;
        for forged in [None, Some(""), Some("00")] {
            assert_eq!(send(forged).await, 403, "{path} with {forged:?}");
        }
        assert_eq!(server.rows().await, before, "{path}: nothing was done");
        assert_eq!(
            (send(Some(&csrf)).await, server.rows().await),
            (303, before + 1),
            "{path}: the form itself is right"
        );
    }
}

#[tokio::test]
async fn another_sites_page_signs_nobody_in() {
    let (server, keys) = Server::keyed().await;
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let form = plain().post(format!("{}/login", server.url())).header(name, value);
        let answer = form.form(&[("key", keys.of(Role::Viewer))]).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers().get("set-cookie")), (403, None), "{name}: {value}");
    }
    let open: i64 =
        sqlx::query_scalar("SELECT count(*) FROM backstitch.session").fetch_one(server.pool()).await.expect("a count");
    assert_eq!(open, 0);
}

#[tokio::test]
async fn without_keys_other_sites_are_refused() {
    let server = Server::idle().await;
    let item = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 7});
    let put = || server.request(Method::PUT, "/v1/items/apple").json(&item);
    let before = server.rows().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "http://localhost:3000"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
        ("host", "localhost.evil.example"),
    ] {
        Answer::to(put().header(name, value)).await.is_problem(403, "forbidden");
    }
    let rebound = server.request(Method::GET, "/v1/runs").header("host", "evil.example:8080");
    Answer::to(rebound).await.is_problem(403, "forbidden");
    assert_eq!(server.rows().await, before);
    assert_eq!(Answer::to(put().header("origin", server.url())).await.status, 200);
    assert_eq!(Answer::to(put()).await.status, 200);
    // Webhooks come from elsewhere and prove themselves by their signature.
    let webhook = server.request(Method::POST, "/v1/webhooks/stripe").header("host", "shop.example").body("{}");
    Answer::to(webhook).await.is_problem(400, "signature_malformed");
}
