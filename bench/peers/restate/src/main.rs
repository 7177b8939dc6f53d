//! The order saga on Restate: `restate-orders serve` has the handlers, `restate-orders` posts orders to the server.

use anyhow::{Context as _, Result};
use order::{Shop, text, variable};
use restate_sdk::prelude::*;
use serde_json::Value;

struct Orders(Shop);

#[restate_sdk::service]
impl Orders {
    #[handler]
    async fn place(&self, context: Context<'_>, order: Json<Value>) -> Result<String, HandlerError> {
        let (shop, order) = (&self.0, &order.0);
        context.run(|| async move { Ok(shop.reserve(order).await?) }).name("reserve").await?;
        let intent = context.run(|| async move { Ok(shop.create_intent(order).await?) }).name("create").await?;
        let intent = &intent;
        context.run(|| async move { Ok(shop.charge(order, intent).await?) }).name("charge").await?;
        context.run(|| async move { Ok(shop.confirm(order, intent).await?) }).name("confirm").await?;
        for to in ["customer", "seller"] {
            context.run(|| async move { Ok(shop.notify(order, to)?) }).name("notify").await?;
        }
        context.run(|| async move { Ok(shop.archive(order).await?) }).name("archive").await?;
        Ok(text(&order["id"])?.to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        let endpoint = Endpoint::builder().bind(Orders(Shop::open().await?)).build();
        HttpServer::new(endpoint).listen_and_serve(variable("SERVICE_ADDR")?.parse()?).await;
        return Ok(());
    }
    let (http, url) = (reqwest::Client::new(), format!("{}/Orders/place", variable("INGRESS_URL")?));
    order::measure(&Shop::join().await?, |order| {
        let request = http.post(&url).json(&order).send();
        async move {
            request.await?.error_for_status()?.bytes().await.context("an order failed")?;
            Ok(())
        }
    })
    .await
}
