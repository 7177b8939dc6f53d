//! Nothing that a caller can send is a 500: every parameter and every field of the OpenAPI document, one at a time, with
//! values that have hurt servers before. What is refused names the field.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    openapi::{assert_stated, document},
    sample::{Request, operations, sample},
    server::Server,
};

/// Requests at a time.
const AT_ONCE: usize = 8;

/// JSON texts that take the place of a field's value. Texts, because no `Value` holds half a surrogate pair.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udfff\ud800""#,
        r#"{"a":{"b":["\u0000"]}}"#,
        r#"{"\ud800":1}"#,
        r#"[{"\u0000":1}]"#,
        r#""""#,
        r#"" ""#,
        r#""\u202e\uffff\u0007""#,
        r#""-262143-01-01T00:00:00Z""#,
        r#""+262142-12-31T23:59:59Z""#,
        r#""-4800-01-01T00:00:00Z""#,
        r#""0000-01-01T00:00:00Z""#,
        r#""9999-12-31T23:59:60Z""#,
        r#""+10000-01-01T00:00:00Z""#,
        "18446744073709551615",
        "9223372036854775807",
        "-9223372036854775808",
        "4294967295",
        "2147483648",
        "123456789012345678901234567890",
        "1e400",
        "0.1",
        "-1",
        "0",
        "null",
        "true",
        "[]",
        "{}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("\"{}\"", "x".repeat(70_000)));
    texts.push("[".repeat(20_000) + &"]".repeat(20_000));
    texts.push("{\"a\":".repeat(9_000) + "1" + &"}".repeat(9_000));
    texts
}

/// Percent-encoded values of parameters in paths and queries.
fn encoded() -> Vec<String> {
    let short = [
        "%00",
        "a%00b",
        "%ff",
        "%ed%a0%80",
        "",
        "%20",
        "..",
        "%2e%2e%2f",
        "%2f",
        "-1",
        "0",
        "2147483648",
        "4294967296",
        "18446744073709551616",
        "1e9",
        "-262143-01-01T00:00:00Z",
        "%2B262142-12-31T23:59:59Z",
        "-4800-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "01998877-6655-7443-8221-100000000000",
        "00000000-0000-0000-0000-000000000000",
        "%F0%9F%A7%B5",
        "%27%3B--",
        "%7B%22a%22%3A1%7D",
        "%25%00",
        "7fffffffffffffff-01998877665574438221100000000000",
        "9223372036854775807",
        "-9223372036854775808",
        "nul%0a%0d",
        "2019-01-01T00:00:00%2B23:59",
        "a:%00",
    ];
    short.iter().map(|text| (*text).to_owned()).chain(["x".repeat(6_000)]).collect()
}

/// Values of headers.
fn headers() -> Vec<Vec<u8>> {
    let short: [&[u8]; 7] =
        [b"", b" ", b"\xff\xfe", b"\"", b"%00", b"9223372036854775808.f4294967296~x", b"\xed\xa0\x80"];
    short.iter().map(|value| value.to_vec()).chain([vec![b'x'; 6_000]]).collect()
}

/// Every request of one operation that differs from a good one in one place, with what stands in that place.
fn variants(request: &Request) -> Vec<(String, Request)> {
    let mut found = Vec::new();
    for name in request.params("path") {
        found.extend(encoded().into_iter().filter(|text| !text.is_empty()).map(|text| {
            (
                format!("path {name}={}", cut(&text)),
                Request { path: request.path_with(&name, &text), ..request.clone() },
            )
        }));
    }
    for name in request.params("query") {
        found.extend(encoded().into_iter().map(|text| {
            (format!("query {name}={}", cut(&text)), Request { query: format!("{name}={text}"), ..request.clone() })
        }));
    }
    let known =
        request.params("header").into_iter().chain(["x-actor", "x-request-id", "traceparent"].map(str::to_owned));
    for name in known {
        found.extend(headers().into_iter().map(|value| {
            let what = format!("header {name}={}", cut(&String::from_utf8_lossy(&value)));
            (what, Request { header: Some((name.clone(), value)), ..request.clone() })
        }));
    }
    for field in request.fields() {
        found.extend(texts().into_iter().map(|text| {
            let body = Some(request.body_with(&field, &text));
            (format!("body {}={}", field.join("."), cut(&text)), Request { body, ..request.clone() })
        }));
    }
    found
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What is wrong with the answer to a request; none: nothing.
async fn send(server: &Server, what: &str, request: &Request) -> Option<String> {
    let mut answer = request.on(server).send().await;
    if answer.is_err() {
        // A connection may be closed by the answer before, just as it is used again.
        answer = request.on(server).send().await;
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Some(format!("{what}: no answer: {error}")),
    };
    let (status, path) = (answer.status().as_u16(), answer.url().path().to_owned());
    if status < 400 {
        return None; // taken; an event stream would go on for ever
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    if status >= 500 {
        return Some(format!("{what}: {status} {problem}"));
    }
    let code = problem["code"].as_str();
    if request.is_api() && !what.starts_with("path") {
        assert_stated(request.method.as_str(), &path, status, code);
    }
    // A body's field that is refused is named, in the sentence or as `field`.
    let named = |place: &str| {
        let name = place.rsplit('.').find(|part| part.parse::<usize>().is_err() && *part != "*").unwrap_or_default();
        problem["detail"].as_str().is_some_and(|detail| detail.contains(name))
    };
    let place = what.strip_prefix("body ").and_then(|place| place.split('=').next());
    match place.filter(|_| code == Some("invalid_request")) {
        Some(place) if !named(place) => Some(format!("{what}: does not name the field: {problem}")),
        _ => None,
    }
}

/// A server with something at each address that the samples name.
async fn furnished() -> (Server, Vec<Request>) {
    let server = Server::roomy().await;
    server.know_orders().await;
    let run = server.started("patient", json!(null)).await;
    let item = json!({"name": "Apple", "price": 250, "currency": "EUR", "on_hand": 100});
    let put = server.request(Method::PUT, "/v1/items/apple").json(&item).send().await.expect("an answer");
    assert_eq!(put.status().as_u16(), 200);
    let order =
        json!({"customer_id": "c1", "items": [{"sku": "apple", "quantity": 1}], "payment": {"token": "tok_ok"}});
    let order = server.post("/v1/orders", order).await.json["id"].as_str().expect("an id").to_owned();
    let bulk = json!({"action": "pause", "filter": {"workflow": "nothing"}, "reason": "why"});
    let operation = server.post("/v1/operations", bulk).await.json["id"].as_str().expect("an id").to_owned();
    let schedule = json!({"cron": "0 3 * * *", "workflow": "echo", "input": {"text": "a"}});
    let set = server.request(Method::PUT, "/v1/schedules/nightly").json(&schedule).send().await.expect("an answer");
    assert_eq!(set.status().as_u16(), 201);
    let id = |template: &str| match template {
        at if at.starts_with("/v1/orders") => order.clone(),
        at if at.starts_with("/v1/operations") => operation.clone(),
        _ => run.clone(),
    };
    (server, operations(document(), id))
}

async fn assert_no_500(server: &Server, requests: Vec<(String, Request)>) {
    let count = requests.len();
    let sent = stream::iter(requests).map(|(what, request)| async move {
        let what_at = format!("{} {}", request.method, request.path);
        send(server, &what, &request).await.map(|wrong| format!("{}: {wrong}", cut(&what_at)))
    });
    let wrong: Vec<String> = sent.buffer_unordered(AT_ONCE).filter_map(|wrong| async { wrong }).collect().await;
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 100, "only {count} requests were made");
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_good_requests() {
    let (server, requests) = furnished().await;
    for request in requests {
        let answer = request.on(&server).timeout(Duration::from_secs(20)).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let refused = status == 400 && !request.path.contains("/webhooks/") || status >= 500;
        let text = if refused { answer.text().await.unwrap_or_default() } else { String::new() };
        assert!(!refused, "{} {} {:?}: {status} {text}", request.method, request.path, request.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_any_field_is_a_500() {
    let (server, requests) = furnished().await;
    let all = requests.iter().flat_map(variants).collect();
    assert_no_500(&server, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_of_a_page_is_a_500() {
    let (server, _) = furnished().await;
    let params: Vec<&str> = document()["paths"]["/v1/runs"]["get"]["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(document()["paths"]["/v1/audit"]["get"]["parameters"].as_array().into_iter().flatten())
        .filter_map(|param| param["name"].as_str())
        .chain(["q", "customer_id", "view", "done", "outcome", "workflow"])
        .collect();
    let mut all = Vec::new();
    for page in [
        "/",
        "/runs",
        "/attention",
        "/fleet",
        "/operations",
        "/schedules",
        "/inbox",
        "/audit",
        "/find",
        "/orders",
        "/live",
    ] {
        for name in &params {
            for text in encoded() {
                let query = format!("{name}={text}");
                let page = Request { query, ..Request::get(page) };
                all.push((format!("query {name}={}", cut(&text)), page));
            }
        }
    }
    for page in ["/runs/", "/operations/", "/schedules/", "/inbox/", "/orders/"] {
        all.extend(
            encoded().iter().map(|text| (format!("path {}", cut(text)), Request::get(&format!("{page}{text}")))),
        );
    }
    assert_no_500(&server, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_of_a_batch_hurts_itself_alone() {
    let (server, _) = furnished().await;
    let good = sample(document(), &json!({"$ref": "#/components/schemas/StartRun"}));
    let text = good.to_string();
    let bad = [
        text.replace("\"a\"", r#""\u0000""#),
        text.replace("\"a\"", r#""\ud800""#),
        text.replace("\"a\"", &("[".repeat(5_000) + &"]".repeat(5_000))),
        text.replacen('{', r#"{"start_at":"-4800-01-01T00:00:00Z","#, 1),
        text.replacen('{', r#"{"key":"\u0000","#, 1),
        text.replacen('{', r#"{"tags":{"\u0000":"a"},"#, 1),
        text.replacen('{', r#"{"queue":"\u0000","#, 1),
        "7".to_owned(),
    ];
    let items: Vec<&str> = bad.iter().flat_map(|bad| [bad.as_str(), text.as_str()]).collect();
    let body = format!("[{}]", items.join(","));
    let request = server.request(Method::POST, "/v1/runs/batch").header("content-type", "application/json").body(body);
    let answer = crate::server::Answer::to(request).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let statuses = |item: &Value| item["status"].as_u64().unwrap_or_default();
    let got: Vec<u64> = answer.json["items"].as_array().expect("items").iter().map(statuses).collect();
    assert_eq!(got, [400, 201].repeat(bad.len()), "{}", answer.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_viewers_bad_view_ends_nobody_elses() {
    let (server, _) = furnished().await;
    let follow = async |view: &str| {
        let request = server.request(Method::GET, "/live").query(&[("view", view)]);
        request.send().await.expect("an answer")
    };
    let mut bad = Vec::new();
    for view in
        ["/runs?since=-262143-01-01", "/runs/x", "/schedules/%00", "/orders/%FF", "/runs?cursor=%00", "//", "/nothing"]
    {
        bad.push(follow(view).await);
    }
    let mut good = follow("/").await;
    assert_eq!(good.status().as_u16(), 200);
    let first = tokio::time::timeout(Duration::from_secs(30), good.chunk()).await;
    assert!(first.is_ok_and(|chunk| chunk.is_ok_and(|chunk| chunk.is_some())), "the good one is rendered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_bounded_whatever_is_in_the_run() {
    let (server, _) = furnished().await;
    let id = server.started("echo", json!({"text": "x".repeat(900_000)})).await;
    // As an earlier version took it: ten arrays, 5,000 levels deep.
    let deep = "UPDATE backstitch.run SET output = ('[' || rtrim(repeat(repeat('[', 5000) || repeat(']', 5000) || ',', 10), ',')
        || ']')::json WHERE id = $1::uuid";
    sqlx::query(deep).bind(&id).execute(server.pool()).await.expect("a deep output");
    let steps = "INSERT INTO backstitch.step
            (run_id, seq, direction, kind, name, input, output, issued_after, attempts, generation, undoable, outcome)
        SELECT $1::uuid, n, 0, 0, 'hold', to_json(repeat('y', 5000)), to_json(repeat('z', 5000)), n, 1, 0, true, 1
        FROM generate_series(0, 1999) n";
    sqlx::query(steps).bind(&id).execute(server.pool()).await.expect("many steps");
    let begun = std::time::Instant::now();
    let page = server.request(Method::GET, &format!("/runs/{id}")).send().await.expect("a page");
    assert_eq!(page.status().as_u16(), 200);
    let text = page.text().await.expect("a page");
    assert!(text.len() < 4 << 20, "{} bytes in {:?}", text.len(), begun.elapsed());
    assert!(text.contains("The first 1500 steps are left out") && text.contains("the rest is left out"));
}
