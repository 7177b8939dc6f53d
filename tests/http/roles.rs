//! Who may what: every route of the router against every role, as the one table says.

use std::{fs, path::Path, sync::LazyLock};

use backstitch::{
    engine::Role,
    http::auth::roles::{Access, Row, row},
    shop,
};
use reqwest::{Method, StatusCode};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    openapi::document,
    server::{Answer, Server},
    support::wait_for,
};

/// Who may call the shop's routes.
static ROWS: LazyLock<&[Row]> = LazyLock::new(|| shop::description().access);

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Every route: those of the OpenAPI document, which is made from the handlers, and every `.route("path", method(..)..)` of
/// the HTTP face, as it stands in the source.
fn routes() -> Vec<(String, String)> {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("a directory").flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(routes_of(&fs::read_to_string(&path).expect("source")));
        }
    }
    for (path, item) in document()["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("operations").keys();
        found.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    found.sort();
    found.dedup();
    assert!(found.len() > 15, "the walk over the source found only {found:?}");
    found
}

fn routes_of(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, begin) in source.match_indices(".route(") {
        let rest = source[at + begin.len()..].trim_start();
        let Some(path) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
        let call = &rest[..end_of_call(rest)];
        for method in METHODS {
            let names_it = call
                .match_indices(&format!("{method}("))
                .any(|(at, _)| !call[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if names_it {
                found.push((method.to_uppercase(), path.to_owned()));
            }
        }
    }
    found
}

/// Where the bracket closes that was open at the start.
fn end_of_call(text: &str) -> usize {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// An address that fits a route.
fn address(route: &str) -> String {
    let fill = |segment: &str| match segment {
        "{seq}" => "0".to_owned(),
        "{id}" => "0199aaaa-0000-7000-8000-000000000000".to_owned(),
        segment if segment.starts_with('{') => "nothing".to_owned(),
        segment => segment.to_owned(),
    };
    route.split('/').map(fill).collect::<Vec<_>>().join("/")
}

async fn status(server: &Server, method: &str, route: &str, token: Option<&str>) -> reqwest::Response {
    let request = server.request(Method::from_bytes(method.as_bytes()).expect("a method"), &address(route));
    let request = if method == "GET" { request } else { request.header("content-type", "application/json").body("{}") };
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.expect("an answer")
}

#[test]
fn every_route_is_in_the_table() {
    let missing: Vec<_> = routes().into_iter().filter(|(method, route)| row(&ROWS, method, route).is_none()).collect();
    assert!(missing.is_empty(), "src/http/auth/roles.rs does not say who may {missing:?}");
}

#[tokio::test]
async fn each_role_may_what_its_row_says() {
    let (server, keys) = Server::keyed().await;
    for (method, route) in routes() {
        let case = format!("{method} {route}");
        let Some(Access::Least(least)) = row(&ROWS, &method, &route).map(|row| row.2) else {
            let open = status(&server, &method, &route, None).await.status();
            assert!(open != StatusCode::FORBIDDEN && open != StatusCode::SERVICE_UNAVAILABLE, "{case}: {open}");
            continue;
        };
        let before = (server.rows().await, server.refusals().await);
        let nobody = status(&server, &method, &route, None).await;
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{case}");
        assert_eq!(nobody.headers().get("www-authenticate").map(|value| value.as_bytes()), Some(&b"Bearer"[..]));
        let after = (server.rows().await, server.refusals().await);
        assert_eq!(after, before, "{case}: without a key nothing is written, not even a refusal");
        for role in Role::ALL.iter().copied() {
            let before = (server.rows().await, server.refusals().await);
            let answer = status(&server, &method, &route, Some(keys.of(role))).await;
            if role >= least {
                let status = answer.status();
                assert!(
                    status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN,
                    "{case} as {role}: {status}"
                );
                assert!(!status.is_server_error(), "{case} as {role}: {status}");
                continue;
            }
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{case} as {role}");
            let text = answer.text().await.expect("a body");
            let sentence = format!("this needs the role {least}; the key `{role}` is {}", role.with_article());
            assert!(text.contains(&sentence), "{case} as {role}: {text}");
            let after = (server.rows().await, server.refusals().await);
            assert_eq!(after, (before.0, before.1 + 1), "{case} as {role}: the refusal and nothing else is on record");
        }
    }
    let query = "SELECT count(*) FILTER (WHERE outcome = 'refused' AND code = 'forbidden' AND message IS NOT NULL
            AND subject LIKE '/%' AND actor = 'key:viewer'),
        count(*) FILTER (WHERE outcome = 'done' AND actor LIKE 'key:viewer%') FROM backstitch.audit";
    let (refused, done): (i64, i64) = sqlx::query_as(query).fetch_one(server.pool()).await.expect("counts");
    assert!(refused > 5 && done == 0, "{refused} refusals of the viewer are on record, and {done} deeds");
}

#[tokio::test]
async fn unknown_addresses_need_a_key_under_the_api() {
    let (server, keys) = Server::keyed().await;
    let stranger = server.request(Method::GET, "/v1/nothing").send().await.expect("an answer");
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let known = server.request(Method::GET, "/v1/nothing").bearer_auth(keys.of(Role::Viewer));
    Answer::to(known).await.is_problem(404, "unknown_route");
    server.get("/nothing/at/all").await.is_problem(404, "unknown_route");
    let wrong_method = server.request(Method::DELETE, "/v1/runs").bearer_auth(keys.of(Role::Admin));
    Answer::to(wrong_method).await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_refusal_is_audited_though_the_client_hangs_up() {
    let (server, keys) = Server::keyed().await;
    let before = server.refusals().await;
    let address = server.url().strip_prefix("http://").expect("an address");
    let token = keys.of(Role::Viewer);
    let head = format!("DELETE /v1/keys/x HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("it takes it");
    }
    wait_for("all refusals are on record", async || match server.refusals().await - before {
        100 => Ok(()),
        some => Err(format!("{some} of 100 are")),
    })
    .await;
}

#[tokio::test]
async fn what_the_audit_keeps_of_a_refusal_is_bounded() {
    let (server, keys) = Server::keyed().await;
    let path = format!("/v1/keys/{}", "x".repeat(30_000));
    let refused = server.request(Method::DELETE, &path).bearer_auth(keys.of(Role::Viewer)).send().await;
    assert_eq!(refused.expect("an answer").status(), StatusCode::FORBIDDEN);
    let query = "SELECT max(greatest(length(subject), length(message), length(action))) FROM backstitch.audit";
    let longest: i32 = sqlx::query_scalar(query).fetch_one(server.pool()).await.expect("a length");
    assert!(longest <= 500, "{longest} characters are kept");
}

#[tokio::test]
async fn without_keys_nobody_can_pass_for_one() {
    let server = Server::idle().await;
    for (claim, kept) in [("key:admin", "local (key:admin)"), (" KEY:admin", "local (KEY:admin)"), ("ann", "ann")] {
        let body = serde_json::json!({"reason": "r"});
        let hold = server.request(Method::PUT, "/v1/holds/queue/default").header("x-actor", claim).json(&body);
        assert_eq!(Answer::to(hold).await.json["actor"], kept);
        Answer::to(server.request(Method::DELETE, "/v1/holds/queue/default")).await;
    }
}
