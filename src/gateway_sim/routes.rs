//! Stripe's `/v1` endpoints: authentication, idempotency keys, and delivery of answers.
//!
//! A POST runs in its own task: a client that disconnects does not stop it, as at a real gateway. The calls themselves
//! are in `ledger` and `refunds`.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{
    Inner, Simulator, acquirer,
    connection::Cut,
    faults::Fault,
    idempotency::Begin,
    ledger::{Confirm, Confirmed, Ledger, NewIntent},
    objects::Reply,
    params::Params,
    refunds::NewRefund,
};
use crate::payments::VendorKind;

/// Maximum size of a list, as at Stripe.
const MAX_LIST: usize = 100;
const DEFAULT_LIST: usize = 10;

pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/v1/payment_intents", post(call).get(list_intents))
        .route("/v1/payment_intents/{id}", get(read_intent))
        .route("/v1/payment_intents/{id}/confirm", post(call))
        .route("/v1/payment_intents/{id}/cancel", post(call))
        .route("/v1/payment_intents/{id}/capture", post(call))
        .route("/v1/refunds", post(call).get(list_refunds))
        .route("/v1/refunds/{id}", get(read_refund))
        .fallback(async || Reply::missing("endpoint", "this URL"))
        .method_not_allowed_fallback(async || {
            Reply::error(405, "invalid_request_error", "method_not_allowed", "This URL does not take this method.")
        })
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        (status, Json(self.body)).into_response()
    }
}

/// A POST with valid parameters.
pub(super) enum Operation {
    Create(NewIntent),
    Confirm(String, Confirm),
    Capture { id: String, amount: Option<i64> },
    Cancel(String),
    Refund(NewRefund),
}

/// How a POST ends.
pub(super) enum Delivery {
    Send(Reply),
    Replay(Reply),
    /// The connection is held, then dropped.
    Never,
}

/// All POSTs.
async fn call(
    State(simulator): State<Arc<Simulator>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(reply) => return reply.into_response(),
    };
    let work = carry_out(simulator.clone(), path, headers, params);
    deliver(&simulator, &cut, work).await
}

/// Does the work in a task of its own, and sends what comes of it, or nothing.
pub(super) async fn deliver(
    simulator: &Simulator,
    cut: &Cut,
    work: impl Future<Output = Delivery> + Send + 'static,
) -> Response {
    let delivery = match simulator.tasks.spawn(work).await {
        Ok(delivery) => delivery,
        Err(_) => Delivery::Send(Reply::api_error(500, "The request was broken off.")),
    };
    match delivery {
        Delivery::Send(reply) => reply.into_response(),
        Delivery::Replay(reply) => ([("Idempotent-Replayed", "true")], reply).into_response(),
        Delivery::Never => {
            // Ends when the client gives up (this future is dropped), the hold is over, or the simulator
            // stops.
            let stopped = simulator.stop.cancelled();
            let _ = tokio::time::timeout(simulator.hold, stopped).await;
            cut.cut();
            Reply::api_error(504, "never sent").into_response()
        }
    }
}

async fn carry_out(simulator: Arc<Simulator>, path: String, headers: HeaderMap, params: Params) -> Delivery {
    let key = match headers.get("Idempotency-Key").map(|key| key.to_str()) {
        Some(Ok(key)) => Some(key.to_owned()),
        Some(Err(_)) => {
            let reply = Reply::invalid("idempotency_key_invalid", "The key must be ASCII.");
            return Delivery::Send(reply);
        }
        None => None,
    };
    let begun = simulator.with(|inner, _| begin(inner, &headers, &path, &params, key.as_deref()));
    match begun {
        Ok((operation, ticket)) => finish(&simulator, operation, key, ticket).await,
        Err(delivery) => delivery,
    }
}

/// Executes what has begun, and stores what comes of it under its key.
pub(super) async fn finish(
    simulator: &Simulator,
    operation: Operation,
    key: Option<String>,
    ticket: Option<u64>,
) -> Delivery {
    let mut outcome = simulator.with(|inner, now| {
        let outcome = operation.execute(inner, key.clone(), now);
        match inner.ledger.kind {
            VendorKind::Stripe => outcome,
            VendorKind::Acquirer => outcome.into_acquirers(&inner.ledger),
        }
    });
    if let Outcome::Wait { id, after } = outcome {
        tokio::time::sleep(after).await;
        outcome = simulator.with(|inner, _| match inner.ledger.get(&id) {
            Ok(intent) => Outcome::Store(Reply::ok(intent.to_json())),
            Err(reply) => Outcome::Free(reply),
        });
    }
    let (stored, delivery) = match outcome {
        Outcome::Store(reply) => (Some(reply.clone()), Delivery::Send(reply)),
        Outcome::StoreUnsent(reply) => (Some(reply), Delivery::Never),
        Outcome::Free(reply) => (None, Delivery::Send(reply)),
        Outcome::FreeUnsent | Outcome::Wait { .. } => (None, Delivery::Never),
    };
    if let Some((key, ticket)) = key.zip(ticket) {
        simulator.with(|inner, _| inner.keys.finish(&key, ticket, stored));
    }
    delivery
}

/// Whether the call may begin. Refusals here come before anything was executed.
fn begin(
    inner: &mut Inner,
    headers: &HeaderMap,
    path: &str,
    params: &Params,
    key: Option<&str>,
) -> Result<(Operation, Option<u64>), Delivery> {
    admit(inner, headers).map_err(Delivery::Send)?;
    let operation = Operation::parse(path, params).map_err(Delivery::Send)?;
    let Some(key) = key else {
        return Ok((operation, None));
    };
    match inner.keys.begin(key, params.fingerprint(path)) {
        Begin::Execute(ticket) => Ok((operation, Some(ticket))),
        Begin::Replay(reply) => Err(Delivery::Replay(reply)),
        Begin::Refuse(reply) => Err(Delivery::Send(reply)),
    }
}

/// Accepts any non-empty credential, except during an outage.
fn admit(inner: &Inner, headers: &HeaderMap) -> Result<(), Reply> {
    if inner.unavailable {
        return Err(Reply::api_error(503, "The gateway is not available."));
    }
    let credential = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
        let known = ["bearer", "basic"].contains(&scheme.to_ascii_lowercase().as_str());
        (known && !credential.trim().is_empty()).then_some(())
    });
    credential.ok_or_else(|| {
        let message = "You did not provide an API key.";
        Reply::error(401, "invalid_request_error", "api_key_missing", message)
    })
}

impl Operation {
    fn parse(path: &str, params: &Params) -> Result<Self, Reply> {
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match parts[..] {
            ["payment_intents"] => new_intent(params).map(Self::Create),
            ["payment_intents", id, "confirm"] => {
                let how = Confirm { token: token(params)?, manual: capture_method(params)? };
                Ok(Self::Confirm(id.to_owned(), how))
            }
            ["payment_intents", id, "capture"] => {
                Ok(Self::Capture { id: id.to_owned(), amount: params.amount("amount_to_capture")? })
            }
            ["payment_intents", id, "cancel"] => Ok(Self::Cancel(id.to_owned())),
            ["refunds"] => Ok(Self::Refund(NewRefund {
                intent_id: params.required("payment_intent")?.to_owned(),
                amount: params.amount("amount")?,
                metadata: params.metadata(),
            })),
            _ => Err(Reply::missing("endpoint", path)),
        }
    }

    fn execute(self, inner: &mut Inner, key: Option<String>, now: i64) -> Outcome {
        let ledger = &mut inner.ledger;
        let result = match self {
            Self::Create(new) => Ok(ledger.create(new, key, now)),
            Self::Cancel(id) => ledger.cancel(&id, now),
            Self::Refund(new) => ledger.refund(new, now),
            Self::Capture { id, amount } if ledger.kind == VendorKind::Acquirer => {
                return Outcome::of(ledger.capture_for_acquirer(&id, amount, now), id);
            }
            Self::Capture { id, amount } => ledger.capture_authorised(&id, amount, now),
            Self::Confirm(id, how) => return Outcome::of(ledger.confirm(&id, how, key, now), id),
        };
        match result {
            Ok(reply) => Outcome::Store(reply),
            Err(reply) => Outcome::Free(reply),
        }
    }
}

/// Stores or frees the key, and chooses how to deliver the answer.
enum Outcome {
    Store(Reply),
    StoreUnsent(Reply),
    Free(Reply),
    FreeUnsent,
    Wait { id: String, after: std::time::Duration },
}

impl Outcome {
    fn of(confirmed: Result<Confirmed, Reply>, id: String) -> Self {
        match confirmed {
            Ok(Confirmed::Answer(reply)) => Self::Store(reply),
            Ok(Confirmed::Unanswered(reply)) => Self::StoreUnsent(reply),
            Ok(Confirmed::AnswerAfter(after)) => Self::Wait { id, after },
            Ok(Confirmed::Ignored) => Self::FreeUnsent,
            Err(reply) => Self::Free(reply),
        }
    }

    /// The same, as an acquirer says it.
    fn into_acquirers(self, ledger: &Ledger) -> Self {
        match self {
            Self::Store(reply) => Self::Store(acquirer::translate(ledger, reply)),
            Self::StoreUnsent(reply) => Self::StoreUnsent(acquirer::translate(ledger, reply)),
            Self::Free(reply) => Self::Free(acquirer::translate(ledger, reply)),
            waits => waits,
        }
    }
}

fn new_intent(params: &Params) -> Result<NewIntent, Reply> {
    let Some(amount) = params.amount("amount")? else {
        return Err(Reply::invalid("parameter_missing", "Missing param: amount."));
    };
    let currency = params.required("currency")?.to_ascii_lowercase();
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_lowercase()) {
        let message = format!("Invalid currency: {currency}.");
        return Err(Reply::invalid("parameter_invalid", &message));
    }
    if params.get("confirm").is_some_and(|value| value != "false") {
        let message = "This gateway confirms in a second call only.";
        return Err(Reply::invalid("parameter_invalid", message));
    }
    let manual = capture_method(params)?.unwrap_or(false);
    Ok(NewIntent { amount, currency, token: token(params)?, manual, metadata: params.metadata() })
}

/// The payment method, where one is named.
fn token(params: &Params) -> Result<Option<String>, Reply> {
    match params.get("payment_method") {
        None => Ok(None),
        Some(token) if Fault::of(token).is_some() => Ok(Some(token.to_owned())),
        Some(token) => Err(Reply::invalid("resource_missing", &format!("No such PaymentMethod: '{token}'"))),
    }
}

/// Whether a confirm is only to authorise, where the request says so.
fn capture_method(params: &Params) -> Result<Option<bool>, Reply> {
    match params.get("capture_method") {
        None => Ok(None),
        Some("automatic" | "automatic_async") => Ok(Some(false)),
        Some("manual") => Ok(Some(true)),
        Some(other) => Err(Reply::invalid("parameter_invalid", &format!("Invalid capture_method: {other}."))),
    }
}

/// A GET: admitted, then read.
fn read(simulator: &Simulator, headers: &HeaderMap, what: impl FnOnce(&Inner) -> Result<Value, Reply>) -> Reply {
    simulator.with(|inner, _| {
        let read = admit(inner, headers).and_then(|()| what(inner));
        read.map_or_else(|refusal| refusal, Reply::ok)
    })
}

async fn read_intent(State(simulator): State<Arc<Simulator>>, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    read(&simulator, &headers, |inner| Ok(inner.ledger.get(&id)?.to_json()))
}

async fn read_refund(State(simulator): State<Arc<Simulator>>, Path(id): Path<String>, headers: HeaderMap) -> Reply {
    read(&simulator, &headers, |inner| Ok(inner.ledger.get_refund(&id)?.to_json()))
}

async fn list_refunds(
    State(simulator): State<Arc<Simulator>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Reply {
    read(&simulator, &headers, |inner| {
        let of = query.get("payment_intent").map(String::as_str);
        let all = inner.ledger.refunds_of(of).map(|refund| (refund.id.as_str(), refund.to_json())).collect();
        page("/v1/refunds", "refund", all, &query)
    })
}

async fn list_intents(
    State(simulator): State<Arc<Simulator>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Reply {
    read(&simulator, &headers, |inner| {
        let all = inner.ledger.intents.iter().rev().map(|intent| (intent.id.as_str(), intent.to_json())).collect();
        page("/v1/payment_intents", "payment_intent", all, &query)
    })
}

/// A page of a list, newest first: after or before an object of it, where the request names one.
pub(super) fn page(
    url: &str,
    kind: &str,
    mut all: Vec<(&str, Value)>,
    query: &HashMap<String, String>,
) -> Result<Value, Reply> {
    let limit = query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_LIST).clamp(1, MAX_LIST);
    let place = |all: &[(&str, Value)], id: &String| {
        all.iter().position(|(known, _)| *known == id.as_str()).ok_or_else(|| Reply::missing(kind, id))
    };
    let mut has_more = false;
    if let Some(id) = query.get("starting_after") {
        let at = place(&all, id)?;
        all.drain(..=at);
    } else if let Some(id) = query.get("ending_before") {
        let at = place(&all, id)?;
        all.truncate(at);
        has_more = at > limit;
        all.drain(..at.saturating_sub(limit));
    }
    has_more |= all.len() > limit;
    let data: Vec<Value> = all.into_iter().take(limit).map(|(_, object)| object).collect();
    Ok(json!({"object": "list", "url": url, "data": data, "has_more": has_more}))
}
