//! The router under a path of another application: every address that leaves it has that path in front.

use backstitch::{
    engine::{NewKey, Role},
    http::router,
    orders::ShopSettings,
    shop,
};
use reqwest::{Client, redirect::Policy};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{server::Server, support::shop::open_orders};

const BASE: &str = "/ops/backstitch";

/// The server's engine once more, mounted under [`BASE`]. Gives its address with the base.
async fn mount(server: &Server) -> String {
    let app = shop::app(open_orders(&server.engine, ShopSettings::default())).without_keys(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}{BASE}", listener.local_addr().expect("an address"));
    let host = axum::Router::new().nest(BASE, router(app));
    tokio::spawn(async move { axum::serve(listener, host).await });
    url
}

/// A client that follows no redirects.
fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client")
}

/// The addresses in a page that lead neither to the base nor to a place in the page.
fn foreign_links(page: &str) -> Vec<&str> {
    let values = [" href=\"", " src=\"", " action=\""].into_iter().flat_map(|name| page.split(name).skip(1));
    let values = values.filter_map(|rest| rest.split('"').next());
    values.filter(|value| !value.starts_with(BASE) && !value.starts_with('#')).collect()
}

#[tokio::test]
async fn links_of_all_pages_have_the_base() {
    let server = Server::idle().await;
    let run = server.started("patient", json!(null)).await;
    let url = mount(&server).await;
    for path in
        ["", "/runs", "/attention", "/fleet", "/operations", "/schedules", "/inbox", "/audit", "/orders", "/docs"]
            .into_iter()
            .chain([format!("/runs/{run}").as_str(), format!("/runs/{run}/act/cancel").as_str()])
    {
        let answer = client().get(format!("{url}{path}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        let page = answer.text().await.expect("a page");
        assert!(page.contains(BASE), "{path} has links of ours");
        assert_eq!(foreign_links(&page), Vec::<&str>::new(), "{path}");
    }
    let style = client().get(format!("{url}/assets/backstitch.css")).send().await.expect("an answer");
    assert_eq!(style.status(), 200);
}

#[tokio::test]
async fn locations_have_the_base() {
    let server = Server::idle().await;
    let url = mount(&server).await;
    let body = json!({"workflow": "patient", "input": null});
    let started = client().post(format!("{url}/v1/runs")).json(&body).send().await.expect("an answer");
    assert_eq!(started.status(), 201);
    let location = started.headers()["location"].to_str().expect("text").to_owned();
    assert!(location.starts_with("/ops/backstitch/v1/runs/"), "{location}");
    let id = location.rsplit('/').next().expect("an id");
    let found = client().get(format!("{url}/find?q={id}")).send().await.expect("an answer");
    assert_eq!(found.headers()["location"], format!("{BASE}/runs/{id}").as_str());
}

#[tokio::test]
async fn live_updates_have_the_base() {
    let server = Server::idle().await;
    let url = mount(&server).await;
    let mut stream = client().get(format!("{url}/live?view=/")).send().await.expect("a stream");
    let mut text = String::new();
    while !text.contains("Latest runs") {
        let chunk = stream.chunk().await.expect("no error").expect("more of the stream");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("href=\"/ops/backstitch/runs\""), "{text}");
}

#[tokio::test]
async fn a_session_is_limited_to_the_base() {
    let server = Server::idle().await;
    let url = mount(&server).await;
    let new = NewKey { name: "viewer".to_owned(), role: Role::Viewer, expires_in: None };
    let key = server.engine.create_key(&new, "test").await.expect("a key").token;
    let answer = client().get(format!("{url}/runs")).header("accept", "text/html").send().await.expect("an answer");
    assert_eq!(answer.headers()["location"], "/ops/backstitch/login?next=/runs");
    let form = [("key", key.as_str()), ("next", "/runs")];
    let opened = client().post(format!("{url}/login")).form(&form).send().await.expect("an answer");
    assert_eq!(opened.headers()["location"], "/ops/backstitch/runs");
    let cookie = opened.headers()["set-cookie"].to_str().expect("text");
    assert!(cookie.contains("Path=/ops/backstitch;"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let post = client().post(format!("{url}/v1/runs")).header("cookie", &pair).json(&json!({}));
    assert_eq!(post.send().await.expect("an answer").status(), 403, "the table of roles holds under a base too");
    let read = client().get(format!("{url}/v1/runs")).header("cookie", pair).send().await.expect("an answer");
    assert_eq!(read.status(), 200);
}
