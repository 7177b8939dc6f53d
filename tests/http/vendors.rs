//! Payment vendors over HTTP and on their page: what operators set is shown everywhere, with who and why.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};

#[tokio::test]
async fn an_operator_sets_a_vendors_breakers_with_a_reason() {
    let server = Server::idle().await;
    let listed = server.get("/v1/vendors").await.json;
    assert_eq!((&listed["items"][0]["name"], &listed["items"][0]["state"]), (&json!("stripe"), &json!("auto")));
    let put = async |name: &str, body| {
        let path = format!("/v1/vendors/{name}");
        Answer::to(server.request(Method::PUT, &path).json(&body)).await
    };
    put("stripe", json!({"state": "open"})).await.is_problem(400, "reason_required");
    put("stripe", json!({"state": "ajar", "reason": "r"})).await.is_problem(400, "invalid_request");
    put("south", json!({"state": "open", "reason": "r"})).await.is_problem(404, "unknown_vendor");
    let set = put("stripe", json!({"state": "open", "reason": "they told us"})).await;
    assert_eq!((set.status, &set.json["state"], &set.json["reason"]), (200, &json!("open"), &json!("they told us")));
    assert_eq!(server.get("/v1/vendors").await.json["items"][0], set.json);
    let audit = server.get("/v1/audit").await.json;
    assert!(audit["items"].as_array().is_some_and(|items| items.iter().any(|item| item["action"] == "set_breaker")));
    let metrics =
        server.request(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a text");
    let open = "backstitch_shop_breaker_state{vendor=\"stripe\",operation=\"charge\"} 2";
    assert!(metrics.contains(open), "{metrics}");
    let row = backstitch::http::auth::roles::row(backstitch::shop::description().access, "PUT", "/v1/vendors/{name}");
    let operator = backstitch::http::auth::roles::Access::Least(backstitch::engine::Role::Operator);
    assert_eq!(row.expect("a row").2, operator);
}

#[tokio::test]
async fn the_vendors_page_opens_breakers_by_form() {
    let server = Server::idle().await;
    let page = async |path: &str| {
        let answer = server.request(Method::GET, path).header("accept", "text/html").send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let (status, text) = page("/vendors").await;
    assert!(status == 200 && text.contains("<td>auto</td>") && text.contains("/vendors/stripe/open"), "{text}");
    assert_eq!(page("/vendors/south/open").await.0, 404);
    let (_, form) = page("/vendors/stripe/open").await;
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let fields = [("csrf", csrf), ("reason", "they told us")];
    let request = server.request(Method::POST, "/vendors/stripe/open").form(&fields);
    let answer = request.header("accept", "text/html").send().await.expect("an answer");
    assert!(answer.status().as_u16() < 400, "{}", answer.status());
    let (_, text) = page("/vendors").await;
    assert!(text.contains("<td>open<span") && text.contains("they told us"), "{text}");
}
