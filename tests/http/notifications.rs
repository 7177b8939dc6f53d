//! Notifications over HTTP and on their page: listed by order and state, sent once per key, sent again, and who may; and who sees
//! where a seller is reached.

use backstitch::engine::{BreakerMode, Role};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{Answer, Server};

async fn put_item(server: &Server, seller: Value) {
    let item = json!({"name": "Tea", "price": 1000, "currency": "EUR", "on_hand": 100, "seller": seller});
    let put = Answer::to(server.request(Method::PUT, "/v1/items/tea").json(&item)).await;
    assert_eq!(put.status, 200, "{}", put.json);
}

/// An order of a customer whom a mail reaches.
async fn order(server: &Server) -> String {
    server.know_orders().await;
    put_item(server, json!({"id": "s1", "email": "seller@example.com"})).await;
    let order = json!({
        "customer_id": "ada", "items": [{"sku": "tea", "quantity": 1}], "payment": {"token": "tok_ok"},
        "delivery": {"address": "1 Main Street"}, "contact": {"email": "ada@example.com"},
    });
    server.post("/v1/orders", order).await.json["id"].as_str().expect("an id").to_owned()
}

async fn park(server: &Server, id: &str) {
    let query = "UPDATE shop.notification SET state = 'parked', last_error = '550 unknown' WHERE id = $1";
    let id: Uuid = id.parse().expect("an id");
    sqlx::query(query).bind(id).execute(server.pool()).await.expect("it is parked");
}

#[tokio::test]
async fn notifications_are_listed_by_order_and_state() {
    let server = Server::idle().await;
    let order = order(&server).await;
    let ask = json!({"order_id": order, "about": "order.placed", "recipient": "customer"});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let sent = server.post("/v1/notifications", ask.clone()).await;
        assert_eq!((sent.status, &sent.json["items"][0]["to"]), (202, &json!("a***@example.com")));
        ids.insert(0, sent.json["items"][0]["id"].as_str().expect("an id").to_owned());
    }
    park(&server, &ids[0]).await;
    let first = server.get(&format!("/v1/notifications?order_id={order}&limit=2")).await.json;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = server.get(&format!("/v1/notifications?order_id={order}&limit=2&cursor={cursor}")).await.json;
    let listed: Vec<&Value> =
        [&first, &second].into_iter().flat_map(|page| page["items"].as_array().expect("items")).collect();
    assert_eq!(listed.iter().map(|one| one["id"].as_str().expect("an id")).collect::<Vec<_>>(), ids);
    let parked = server.get("/v1/notifications?state=parked").await.json;
    assert_eq!((parked["items"].as_array().map(Vec::len), &parked["items"][0]["id"]), (Some(1), &json!(ids[0])));
    assert!(!parked.to_string().contains("ada@"), "an address is shown masked: {parked}");
    let other = server.get(&format!("/v1/notifications?order_id={}", Uuid::nil())).await.json;
    assert_eq!(other["items"], json!([]));
    for bad in ["state=lost", "limit=0", "limit=201", "order_id=7", "channel=email"] {
        server.get(&format!("/v1/notifications?{bad}")).await.is_problem(400, "invalid_request");
    }
    server.get("/v1/notifications?cursor=x").await.is_problem(400, "bad_cursor");
    let again = server.post(&format!("/v1/notifications/{}/resend", ids[0]), json!(null)).await;
    assert_eq!((again.status, &again.json["state"], &again.json["last_error"]), (202, &json!("pending"), &json!(null)));
    server.post("/v1/notifications/x/resend", json!(null)).await.is_problem(404, "unknown_notification");
    server
        .post(&format!("/v1/notifications/{}/resend", Uuid::nil()), json!(null))
        .await
        .is_problem(404, "unknown_notification");
}

#[tokio::test]
async fn a_notification_is_made_once_per_key() {
    let server = Server::idle().await;
    let order = order(&server).await;
    let ask = async |about: &str, key: &str| {
        let body = json!({"order_id": order, "about": about, "recipient": "seller"});
        Answer::to(server.request(Method::POST, "/v1/notifications").header("idempotency-key", key).json(&body)).await
    };
    let (first, second) = (ask("order.placed", "k").await, ask("order.placed", "k").await);
    assert_eq!((first.status, second.status), (202, 200));
    assert_eq!(first.json, second.json);
    ask("order.shipped", "k").await.is_problem(409, "key_conflict");
    assert_eq!(ask("order.placed", "another").await.status, 202);
    assert_eq!(server.get("/v1/notifications").await.json["items"].as_array().map(Vec::len), Some(2));
    ask("order.lost", "k2").await.is_problem(400, "invalid_request");
    let unknown = json!({"order_id": Uuid::nil(), "about": "order.placed", "recipient": "customer"});
    server.post("/v1/notifications", unknown).await.is_problem(404, "unknown_order");
}

#[tokio::test]
async fn only_who_may_write_items_sees_a_sellers_address() {
    let (server, keys) = Server::keyed().await;
    let admin = keys.of(Role::Admin);
    let item = json!({"name": "Tea", "price": 1, "currency": "EUR", "on_hand": 1, "seller": {"id": "s1", "email": "seller@example.com"}});
    let put = Answer::to(server.request(Method::PUT, "/v1/items/tea").bearer_auth(admin).json(&item)).await;
    assert_eq!(put.json["seller"]["email"], "seller@example.com");
    for role in Role::ALL.iter().copied() {
        let read = Answer::to(server.request(Method::GET, "/v1/items/tea").bearer_auth(keys.of(role))).await;
        let address = if role >= Role::Operator { "seller@example.com" } else { "s***@example.com" };
        assert_eq!(read.json["seller"], json!({"id": "s1", "email": address}), "{role}");
        let ask = json!({"order_id": Uuid::nil(), "about": "order.placed", "recipient": "customer"});
        let sent = server.request(Method::POST, "/v1/notifications").bearer_auth(keys.of(role)).json(&ask);
        let status = if role >= Role::Operator { 404 } else { 403 };
        assert_eq!(Answer::to(sent).await.status, status, "{role}");
    }
    let plain = json!({"name": "Tea", "price": 1, "currency": "EUR", "on_hand": 1});
    let put = Answer::to(server.request(Method::PUT, "/v1/items/tea").bearer_auth(admin).json(&plain)).await;
    assert!(put.json.get("seller").is_none(), "{}", put.json);
}

#[tokio::test]
async fn the_page_shows_notifications_and_sends_again_by_form() {
    let server = Server::idle().await;
    let order = order(&server).await;
    let ask = json!({"order_id": order, "about": "order.placed", "recipient": "customer"});
    let sent = server.post("/v1/notifications", ask).await.json;
    let id = sent["items"][0]["id"].as_str().expect("an id");
    park(&server, id).await;
    let by = backstitch::engine::Operator::new("ops", Some("a reason"), false).expect("an operator");
    let engine = backstitch::engine::Engine::new(server.pool().clone(), backstitch::engine::Registry::new());
    engine.set_breaker("notice/smtp", BreakerMode::Open, &by).await.expect("it is set");
    let page = async |path: &str| {
        let answer = server.request(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, text) = page("/notifications").await;
    assert_eq!(status, 200);
    for part in ["order.placed", "a***@example.com", "550 unknown", &format!("/notifications/{id}/resend"), "smtp"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("ada@"), "{text}");
    assert!(page("/notifications?state=sent").await.1.contains("No notification is sent"));
    assert_eq!(page("/notifications?state=lost").await.0, 400);
    assert_eq!(page("/notifications/providers/fax/open").await.0, 404);
    let (_, form) = page(&format!("/notifications/{id}/resend")).await;
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let request = server.request(Method::POST, &format!("/notifications/{id}/resend"));
    let answer = request.form(&[("csrf", csrf), ("reason", "the address was mended")]).header("accept", "text/html");
    let answer = answer.send().await.expect("an answer");
    assert!(answer.status().as_u16() < 400, "{}", answer.status());
    assert_eq!(server.get("/v1/notifications?state=pending").await.json["items"][0]["id"], id);
}

#[tokio::test]
async fn an_operator_sets_a_providers_breakers_with_a_reason() {
    let server = Server::idle().await;
    let listed = server.get("/v1/providers").await.json;
    let log = json!({"name": "log", "channels": ["email", "log"], "state": "auto"});
    for (field, value) in log.as_object().expect("an object") {
        assert_eq!(&listed["items"][0][field], value, "{listed}");
    }
    let put = async |name: &str, body| {
        Answer::to(server.request(Method::PUT, &format!("/v1/providers/{name}")).json(&body)).await
    };
    put("log", json!({"state": "open"})).await.is_problem(400, "reason_required");
    put("log", json!({"state": "ajar", "reason": "r"})).await.is_problem(400, "invalid_request");
    put("fax", json!({"state": "open", "reason": "r"})).await.is_problem(404, "unknown_provider");
    let set = put("log", json!({"state": "open", "reason": "it is full"})).await;
    assert_eq!((set.status, &set.json["state"], &set.json["reason"]), (200, &json!("open"), &json!("it is full")));
    let audit = server.get("/v1/audit?action=set_breaker&outcome=done").await.json;
    assert_eq!(audit["items"][0]["subject"], "breaker notice/log");
    let engine = backstitch::engine::Engine::new(server.pool().clone(), backstitch::engine::Registry::new());
    assert!(engine.breaker("notice/log", "email").admit().await.is_err(), "all processes know");
    let page = async |path: &str| {
        let answer = server.request(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        answer.text().await.expect("a text")
    };
    assert!(page("/notifications").await.contains("it is full"));
    let form = page("/notifications/providers/log/auto").await;
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let request = server.request(Method::POST, "/notifications/providers/log/auto");
    let answer = request.form(&[("csrf", csrf), ("reason", "it is empty")]).header("accept", "text/html");
    assert!(answer.send().await.expect("an answer").status().as_u16() < 400);
    assert_eq!(server.get("/v1/providers").await.json["items"][0]["state"], "auto");
    let row = backstitch::http::auth::roles::row(backstitch::shop::description().access, "PUT", "/v1/providers/{name}");
    let operator = backstitch::http::auth::roles::Access::Least(Role::Operator);
    assert_eq!(row.expect("a row").2, operator);
}
