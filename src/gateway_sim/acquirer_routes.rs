//! An acquirer's endpoints. The calls themselves are the ledger's, whose answers are translated.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    Inner, Simulator, acquirer, acquirer_json,
    connection::Cut,
    faults::Fault,
    idempotency::Begin,
    ledger::{Confirm, NewIntent},
    objects::{Metadata, Reply},
    refunds::NewRefund,
    routes::{Delivery, Operation, deliver, finish, page},
};
use crate::payments::from_decimal;

pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/payments", post(call).get(list_payments))
        .route("/payments/{id}", get(read_payment))
        .route("/payments/{id}/authorise", post(call))
        .route("/payments/{id}/capture", post(call))
        .route("/payments/{id}/void", post(call))
        .route("/payments/{id}/refunds", post(call).get(refunds_of))
        .route("/refunds", get(list_refunds))
        .route("/refunds/{id}", get(read_refund))
}

/// All POSTs.
async fn call(
    State(simulator): State<Arc<Simulator>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    uri: Uri,
    Json(body): Json<Value>,
) -> Response {
    let work = {
        let simulator = simulator.clone();
        async move { carry_out(&simulator, &headers, uri.path(), &body).await }
    };
    deliver(&simulator, &cut, work).await
}

async fn carry_out(simulator: &Simulator, headers: &HeaderMap, path: &str, body: &Value) -> Delivery {
    let key = headers.get("X-Request-Id").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let begun = simulator.with(|inner, _| {
        let refuse = |inner: &Inner, reply| Delivery::Send(acquirer::translate(&inner.ledger, reply));
        let operation = admit(inner, headers).and_then(|()| parse(inner, path, body));
        let operation = operation.map_err(|reply| refuse(inner, reply))?;
        let Some(key) = key.as_deref() else {
            return Ok((operation, None));
        };
        match inner.keys.begin(key, format!("{path} {body}")) {
            Begin::Execute(ticket) => Ok((operation, Some(ticket))),
            Begin::Replay(reply) => Err(Delivery::Replay(reply)),
            Begin::Refuse(reply) => Err(refuse(inner, reply)),
        }
    });
    match begun {
        Ok((operation, ticket)) => finish(simulator, operation, key, ticket).await,
        Err(delivery) => delivery,
    }
}

/// Accepts any key, except during an outage.
fn admit(inner: &Inner, headers: &HeaderMap) -> Result<(), Reply> {
    if inner.unavailable {
        return Err(Reply::api_error(503, "The acquirer is not available."));
    }
    match headers.get("X-Api-Key") {
        Some(key) if !key.is_empty() => Ok(()),
        _ => Err(Reply::error(401, "invalid_request_error", "key_missing", "There is no X-Api-Key.")),
    }
}

fn parse(inner: &Inner, path: &str, body: &Value) -> Result<Operation, Reply> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts[..] {
        ["payments"] => new_payment(body).map(Operation::Create),
        ["payments", id, "authorise"] => Ok(Operation::Confirm(id.to_owned(), Confirm::default())),
        ["payments", id, "capture"] => {
            Ok(Operation::Capture { id: id.to_owned(), amount: Some(amount(&body["amount"])?.0) })
        }
        ["payments", id, "void"] => Ok(Operation::Cancel(id.to_owned())),
        ["payments", id, "refunds"] => {
            let (amount, currency) = amount(&body["amount"])?;
            if inner.ledger.get(id)?.currency != currency {
                return Err(Reply::invalid("currency_differs", "The payment is in another currency."));
            }
            Ok(Operation::Refund(NewRefund {
                intent_id: id.to_owned(),
                amount: Some(amount),
                metadata: metadata(body)?,
            }))
        }
        _ => Err(Reply::missing("endpoint", path)),
    }
}

fn new_payment(body: &Value) -> Result<NewIntent, Reply> {
    let (amount, currency) = amount(&body["amount"])?;
    let card = body["card"].as_str().unwrap_or_default();
    if Fault::of(card).is_none() {
        return Err(Reply::invalid("card_unknown", &format!("There is no card {card:?}.")));
    }
    Ok(NewIntent { amount, currency, token: Some(card.to_owned()), manual: true, metadata: metadata(body)? })
}

/// Minor units and the currency, in lower case as the ledger has it.
fn amount(value: &Value) -> Result<(i64, String), Reply> {
    let (text, currency) =
        (value["value"].as_str().unwrap_or_default(), value["currency"].as_str().unwrap_or_default());
    let minor = from_decimal(text, currency).filter(|minor| *minor > 0);
    let minor = minor.ok_or_else(|| Reply::invalid("amount_invalid", &format!("No amount: {text:?} {currency:?}.")))?;
    Ok((minor, currency.to_ascii_lowercase()))
}

/// The details, with the reference among them as the ledger has it.
fn metadata(body: &Value) -> Result<Metadata, Reply> {
    let details = serde_json::from_value::<Metadata>(body["details"].clone());
    let mut metadata = details.map_err(|_| Reply::invalid("details_invalid", "Details are texts by name."))?;
    let reference = body["reference"].as_str();
    metadata.extend(reference.map(|reference| ("order_id".to_owned(), reference.to_owned())));
    Ok(metadata)
}

/// A GET: admitted, then read.
fn read(simulator: &Simulator, headers: &HeaderMap, what: impl FnOnce(&Inner) -> Result<Value, Reply>) -> Reply {
    simulator.with(|inner, _| match admit(inner, headers).and_then(|()| what(inner)) {
        Ok(value) => Reply::ok(value),
        Err(refusal) => acquirer::translate(&inner.ledger, refusal),
    })
}

async fn read_payment(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> impl IntoResponse {
    read(&simulator, &headers, |inner| inner.ledger.get(&id).map(acquirer_json::payment))
}

async fn read_refund(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> impl IntoResponse {
    read(&simulator, &headers, |inner| inner.ledger.get_refund(&id).map(acquirer_json::refund))
}

async fn refunds_of(
    State(simulator): State<Arc<Simulator>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> impl IntoResponse {
    read(&simulator, &headers, |inner| {
        inner.ledger.get(&id)?;
        let refunds: Vec<Value> = inner.ledger.refunds_of(Some(&id)).map(acquirer_json::refund).collect();
        Ok(json!({"total": refunds.len(), "refunds": refunds}))
    })
}

async fn list_payments(
    State(simulator): State<Arc<Simulator>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    read(&simulator, &headers, |inner| {
        let all = inner.ledger.intents.iter().rev();
        list("payments", all.map(|intent| (intent.id.as_str(), acquirer_json::payment(intent))).collect(), &query)
    })
}

async fn list_refunds(
    State(simulator): State<Arc<Simulator>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> impl IntoResponse {
    read(&simulator, &headers, |inner| {
        let all = inner.ledger.refunds_of(None);
        list("refunds", all.map(|refund| (refund.id.as_str(), acquirer_json::refund(refund))).collect(), &query)
    })
}

/// A page of a list, newest first.
fn list(name: &str, all: Vec<(&str, Value)>, query: &HashMap<String, String>) -> Result<Value, Reply> {
    let renamed = [("size", "limit"), ("before", "starting_after")];
    let params = renamed.iter().filter_map(|(ours, theirs)| Some(((*theirs).to_owned(), query.get(*ours)?.clone())));
    let mut page = page("", name, all, &params.collect())?;
    let objects = page["data"].take();
    let next = match page["has_more"].as_bool() {
        Some(true) => objects.as_array().and_then(|objects| objects.last()).map(|last| last["id"].clone()),
        _ => None,
    };
    Ok(json!({name: objects, "next": next}))
}
