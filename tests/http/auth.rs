//! Keys: who has none, a wrong one or one that is over is not let in; what an admin does to keys is on record.

use std::time::Duration;

use backstitch::{
    engine::{NewKey, Role},
    http::serve,
    orders::{Orders, ShopSettings},
    shop,
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;

use crate::{
    server::{Answer, Server},
    support::{wait_for, wait_until},
};

async fn get(server: &Server, path: &str, token: &str) -> Answer {
    Answer::to(server.request(Method::GET, path).bearer_auth(token)).await
}

#[tokio::test]
async fn bad_keys_are_refused_alike() {
    let (server, keys) = Server::keyed().await;
    let good = keys.of(Role::Viewer);
    assert_eq!(get(&server, "/v1/runs", good).await.status, 200);
    let (id, secret) = good["bsk_".len()..].split_once('_').expect("two parts");
    let other_secret = secret.chars().rev().collect::<String>();
    let wrong_secret = get(&server, "/v1/runs", &format!("bsk_{id}_{other_secret}")).await;
    let wrong_id = get(&server, "/v1/runs", &format!("bsk_{}_{secret}", "0".repeat(12))).await;
    wrong_secret.is_problem(401, "unauthorized");
    wrong_id.is_problem(401, "unauthorized");
    assert_eq!(wrong_secret.json["detail"], wrong_id.json["detail"]);
    for bad in ["", "x", "bsk_", &good[1..], &good[..good.len() - 1], &format!("{good}0"), &good.to_uppercase()] {
        get(&server, "/v1/runs", bad).await.is_problem(401, "unauthorized");
    }
    for header in ["Basic abc", good, "Bearer"] {
        let request = server.request(Method::GET, "/v1/runs").header("authorization", header);
        Answer::to(request).await.is_problem(401, "unauthorized");
    }
    let secret = secret.to_owned();
    let query = "SELECT count(*) FROM backstitch.api_key WHERE api_key::text LIKE '%' || $1 || '%'";
    let kept: i64 = sqlx::query_scalar(query).bind(secret).fetch_one(server.pool()).await.expect("a count");
    assert_eq!(kept, 0, "the secret itself is kept nowhere");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_or_soon() {
    let (server, keys) = Server::keyed().await;
    let elsewhere = Server::over(server.pool().clone()).await;
    let (viewer, admin) = (keys.of(Role::Viewer), keys.of(Role::Admin));
    assert_eq!(get(&elsewhere, "/v1/runs", viewer).await.status, 200);
    let listed = get(&server, "/v1/keys", admin).await.json;
    let of_viewer = |key: &&Value| key["name"] == "viewer";
    let key = listed["items"].as_array().expect("a list").iter().find(of_viewer).expect("the viewer's").clone();
    let revoke = || {
        let path = format!("/v1/keys/{}", key["id"].as_str().expect("an id"));
        Answer::to(server.request(Method::DELETE, &path).bearer_auth(admin))
    };
    let revoked = revoke().await;
    assert_eq!((revoked.status, &revoked.json["state"]), (200, &json!("revoked")));
    let refused = get(&server, "/v1/runs", viewer).await;
    refused.is_problem(401, "unauthorized");
    assert!(refused.json["detail"].as_str().is_some_and(|text| text.contains("`viewer` was revoked")));
    wait_until("the other server has noticed", async || get(&elsewhere, "/v1/runs", viewer).await.status == 401).await;

    let before = server.rows().await;
    let again = revoke().await;
    assert_eq!((again.status, &again.json["revoked_at"]), (200, &revoked.json["revoked_at"]));
    assert_eq!(server.rows().await, before, "once more changes nothing, the audit neither");
    let nobodys = server.request(Method::DELETE, "/v1/keys/nobodys").bearer_auth(admin);
    Answer::to(nobodys).await.is_problem(404, "unknown_key");
}

#[tokio::test]
async fn an_expired_key_is_worth_nothing() {
    let (server, keys) = Server::keyed().await;
    let body = json!({"name": "brief", "role": "viewer", "expires_in": "1h"});
    let request = server.request(Method::POST, "/v1/keys").bearer_auth(keys.of(Role::Admin)).json(&body);
    let made = Answer::to(request).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"));
    let token = made.json["token"].as_str().expect("a token").to_owned();
    assert_eq!(get(&server, "/v1/runs", &token).await.status, 200);
    let move_clock = "UPDATE backstitch.clock SET shift = shift + interval '61 minutes'";
    sqlx::query(move_clock).execute(server.pool()).await.expect("the clock can be moved");
    wait_until("the key has expired", async || get(&server, "/v1/runs", &token).await.status == 401).await;
    let listed = get(&server, "/v1/keys", keys.of(Role::Admin)).await;
    assert!(listed.json.to_string().contains("\"state\":\"expired\""), "{}", listed.json);
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let (server, keys) = Server::keyed().await;
    let admin = keys.of(Role::Admin);
    let body = json!({"name": "night-shift", "role": "operator"});
    let request = server.request(Method::POST, "/v1/keys").bearer_auth(admin).header("x-actor", "cli:anna").json(&body);
    let made = Answer::to(request).await;
    let (id, token) = (made.json["id"].as_str().expect("an id"), made.json["token"].as_str().expect("a token"));
    assert!(token.starts_with(&format!("bsk_{id}_")), "{token}");
    let listed = get(&server, "/v1/keys", admin).await;
    assert!(!listed.json.to_string().contains(token) && !listed.json.to_string().contains("secret"), "{}", listed.json);
    let query = "SELECT actor, subject, after ->> 'role' FROM backstitch.audit WHERE action = 'create_key'
        ORDER BY id DESC LIMIT 1";
    let noted: (String, String, String) = sqlx::query_as(query).fetch_one(server.pool()).await.expect("a record");
    assert_eq!(noted, ("key:admin (cli:anna)".to_owned(), format!("key {id}"), "operator".to_owned()));

    for (actor, found) in [("key:admin", 1), ("key:admin%20(cli:anna)", 1), ("key:admin%20(cli:ben)", 0), ("admin", 0)]
    {
        let audit = get(&server, &format!("/v1/audit?action=create_key&actor={actor}"), admin).await;
        assert_eq!(audit.json["items"].as_array().map(Vec::len), Some(found), "{actor}");
    }

    let before = server.rows().await;
    for bad in [
        json!({"name": "", "role": "viewer"}),
        json!({"name": " x", "role": "viewer"}),
        json!({"name": "x", "role": "root"}),
        json!({"name": "x", "role": "viewer", "expires_in": "1s"}),
        json!({"name": "x", "role": "viewer", "expires_in": "soon"}),
        json!({"name": "x", "role": "viewer", "scope": "all"}),
        json!({"name": "a\u{0}b", "role": "viewer"}),
        json!({"role": "viewer"}),
    ] {
        let request = server.request(Method::POST, "/v1/keys").bearer_auth(admin).json(&bad);
        Answer::to(request).await.is_problem(400, "invalid_request");
    }
    assert_eq!(server.rows().await, before);
}

#[tokio::test]
async fn a_keys_last_use_is_recorded_sometimes() {
    let (server, keys) = Server::keyed().await;
    let last_used = async || {
        let query = "SELECT last_used_at::text FROM backstitch.api_key WHERE name = 'viewer'";
        sqlx::query_scalar::<_, Option<String>>(query).fetch_one(server.pool()).await.expect("reads")
    };
    assert_eq!(last_used().await, None);
    get(&server, "/v1/runs", keys.of(Role::Viewer)).await;
    let first = last_used().await;
    assert!(first.is_some());
    let elsewhere = Server::over(server.pool().clone()).await;
    get(&elsewhere, "/v1/runs", keys.of(Role::Viewer)).await;
    assert_eq!(last_used().await, first, "within a minute it is not written again");
}

#[tokio::test]
async fn the_first_key_closes_the_server() {
    let server = Server::idle().await;
    assert_eq!(server.get("/v1/runs").await.status, 200, "open while there are no keys");
    let elsewhere = Server::over(server.pool().clone()).await;
    let new = NewKey { name: "first".to_owned(), role: Role::Viewer, expires_in: None };
    elsewhere.engine.create_key(&new, "test").await.expect("a key");
    wait_for("the server asks for a key", async || match server.get("/v1/runs").await.status {
        401 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    sqlx::query("UPDATE backstitch.api_key SET revoked_at = now()").execute(server.pool()).await.expect("revokes");
    Server::over(server.pool().clone()).await.get("/v1/runs").await.is_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_reachable_server_without_keys_is_closed() {
    let server = Server::idle().await;
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = shop::app(Orders::new(server.engine.clone(), ShopSettings::default()));
    tokio::spawn(serve(listener, app, server.stop.clone().cancelled_owned()));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = Answer::to(client.get(format!("http://127.0.0.1:{port}/v1/runs"))).await;
    answer.is_problem(401, "unauthorized");
    assert!(answer.json["detail"].as_str().is_some_and(|text| text.contains("backstitch key create")));
    assert_eq!(server.get("/v1/runs").await.status, 200, "one that only this machine can reach lets it in");
}

#[tokio::test]
async fn an_outage_lets_nobody_in() {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(300));
    let server = Server::over(pool.connect_lazy("postgres://nobody@127.0.0.1:1/nothing").expect("a URL")).await;
    let token = format!("bsk_{}_{}", "0".repeat(12), "0".repeat(64));
    get(&server, "/v1/runs", &token).await.is_problem(503, "database_unavailable");
    server.get("/v1/keys").await.is_problem(503, "database_unavailable");
    let empty = crate::support::TestDatabase::unmigrated().await;
    let behind = Server::over(empty.pool().clone()).await;
    behind.get("/v1/runs").await.is_problem(503, "database_unavailable");
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let (server, keys) = Server::keyed().await;
    let body = json!({"workflow": "patient", "input": null});
    let start = server.request(Method::POST, "/v1/runs").bearer_auth(keys.of(Role::Starter)).json(&body);
    let run = Answer::to(start).await.json["id"].as_str().expect("an id").to_owned();
    let viewer = keys.of(Role::Viewer);
    let stream = server.request(Method::GET, &format!("/v1/runs/{run}/events")).bearer_auth(viewer);
    let stream = stream.send().await.expect("a stream");
    assert_eq!(stream.status(), 200);
    let id = viewer["bsk_".len()..].split('_').next().expect("an id");
    server.engine.revoke_key(id, "test").await.expect("revokes");
    // Nobody works on the run, so nothing else ends its stream; the client gives up after half a minute.
    assert!(stream.text().await.expect("its end").contains("event: run"));
}
