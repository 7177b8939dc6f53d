//! `/sim/...`: the simulator's control API, for tests and its operator.
//!
//! | call | does |
//! |---|---|
//! | `GET /sim/ledger` | what really happened: `{"payments": [{"id", "idempotency_key", "metadata", "amount", "currency", "status", "captured", "refunded"}]}`; `idempotency_key` is the confirm's (the create's, as long as nobody confirmed), `refunded` is what has been paid out, pending refunds not counted |
//! | `DELETE /sim/ledger` | deletes payments, refunds and keys; switches stay |
//! | `GET /sim/faults`, `PUT /sim/faults` | switches: `{"unavailable": bool, "late_cancel": "accepted"\|"refused", "refund_failure": "refused"\|"later"}`, each optional in a PUT; `unavailable` answers every `/v1` call 503, unread |
//! | `POST /sim/refunds/heal` (`?payment_intent=`) | clears `tok_refund_fails` for the payments made so far: `{"healed": n}` |
//! | `POST /sim/settle` | completes late payments and pending refunds now: `{"settled": n}` |
//! | `GET /healthz` | `ok` |

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Inner, Simulator, faults::LateCancel, faults::RefundFailure};

pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/sim/ledger", get(ledger).delete(forget))
        .route("/sim/faults", get(faults).put(set_faults))
        .route("/sim/refunds/heal", post(heal))
        .route("/sim/settle", post(settle))
}

async fn ledger(State(simulator): State<Arc<Simulator>>) -> Json<Value> {
    Json(simulator.with(|inner, _| inner.ledger.to_json()))
}

async fn forget(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.with(|inner, _| {
        inner.ledger.forget();
        inner.keys.clear();
    });
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    unavailable: Option<bool>,
    late_cancel: Option<LateCancel>,
    refund_failure: Option<RefundFailure>,
}

#[derive(Serialize)]
struct Switches {
    unavailable: bool,
    late_cancel: LateCancel,
    refund_failure: RefundFailure,
}

fn switches(inner: &Inner) -> Switches {
    Switches {
        unavailable: inner.unavailable,
        late_cancel: inner.ledger.late_cancel,
        refund_failure: inner.ledger.refund_failure,
    }
}

async fn faults(State(simulator): State<Arc<Simulator>>) -> Json<Switches> {
    Json(simulator.with(|inner, _| switches(inner)))
}

async fn set_faults(State(simulator): State<Arc<Simulator>>, Json(change): Json<Change>) -> Json<Switches> {
    Json(simulator.with(|inner, _| {
        if let Some(unavailable) = change.unavailable {
            inner.unavailable = unavailable;
        }
        if let Some(late_cancel) = change.late_cancel {
            inner.ledger.late_cancel = late_cancel;
        }
        if let Some(refund_failure) = change.refund_failure {
            inner.ledger.refund_failure = refund_failure;
        }
        switches(inner)
    }))
}

#[derive(Deserialize)]
struct Heal {
    payment_intent: Option<String>,
}

async fn heal(State(simulator): State<Arc<Simulator>>, Query(heal): Query<Heal>) -> Json<Value> {
    let only = heal.payment_intent.as_deref();
    let healed = simulator.with(|inner, _| inner.ledger.heal_refunds(only));
    Json(json!({ "healed": healed }))
}

async fn settle(State(simulator): State<Arc<Simulator>>) -> Json<Value> {
    let settled = simulator.with(|inner, now| inner.ledger.settle_all(now));
    Json(json!({ "settled": settled }))
}
