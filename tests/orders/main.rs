//! The order domain on a real database: the store's rules, the service, and whole orders through engine and gateway.
//! `shop` is the fixture; each other file holds one promise.

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod belonging;
mod books;
mod cancelling;
mod compare;
mod dropped;
mod events;
mod every_fault;
mod history;
mod mail;
mod mending;
mod notices;
mod notices_by_http;
mod odd_answers;
mod odd_gateway;
mod outcomes;
mod placing;
mod providers;
mod reconcile;
mod refunds;
mod shop;
mod stock;
mod together;
mod upgrade;
mod vendors;
mod webhooks;
mod wrong_amount;
