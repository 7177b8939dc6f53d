//! The order saga on DBOS Transact for Rust: workflows are started in this process, which also executes them.

use std::time::Duration;

use anyhow::{Context, Result};
use dbos::{Config, DBOS, Error, StartOptions};
use order::{Shop, number, text, variable};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::open().await?;
    let dbos = DBOS::new(Config {
        max_connections: number("DBOS_POOL", 16)?,
        app_version: Some("1".to_owned()),
        outcome_poll_interval: Some(Duration::from_millis(5)),
        ..Config::new("orders", variable("DATABASE_URL")?)
    });
    let steps = shop.clone();
    let saga = dbos.register_workflow("order", move |order: Value| {
        let shop = steps.clone();
        async move {
            let (shop, order) = (&shop, &order);
            dbos::step("reserve", move || async move { said(shop.reserve(order).await) }).await?;
            let intent = dbos::step("create", move || async move { said(shop.create_intent(order).await) }).await?;
            let intent = &intent;
            dbos::step("charge", move || async move { said(shop.charge(order, intent).await) }).await?;
            dbos::step("confirm", move || async move { said(shop.confirm(order, intent).await) }).await?;
            let customer = dbos::step("notify", move || async move { said(shop.notify(order, "customer")) });
            let seller = dbos::step("notify", move || async move { said(shop.notify(order, "seller")) });
            let (customer, seller) = tokio::join!(customer, seller);
            (customer?, seller?);
            dbos::step("archive", move || async move { said(shop.archive(order).await) }).await?;
            Ok::<_, Error>(text(&order["id"]).unwrap_or_default().to_owned())
        }
    })?;
    dbos.launch().await?;
    order::measure(&shop, |order| {
        let saga = saga.clone();
        async move {
            let started = saga.start_with(order, StartOptions::default()).await?;
            started.result().await.context("an order failed")?;
            Ok(())
        }
    })
    .await?;
    // It has tasks of its own that never end.
    std::process::exit(0)
}

/// The order fails with its step; none does here.
fn said<T>(done: Result<T>) -> dbos::Result<T> {
    done.map_err(|error| panic!("{error:#}"))
}
