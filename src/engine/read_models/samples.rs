//! A whole sample of each read model, for tests: of the models themselves and of what is rendered from them.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const RUN: &str = "01998877-6655-7443-8221-100000000000";
const AT: &str = "2026-01-01T00:00:00Z";

/// A sample with other members.
pub(crate) fn with<T: DeserializeOwned>(mut sample: Value, changes: Value) -> T {
    if let (Some(sample), Value::Object(changes)) = (sample.as_object_mut(), changes) {
        sample.extend(changes);
    }
    serde_json::from_value(sample).expect("a sample of a read model")
}

/// A run that waits for a signal, without steps.
pub(crate) fn waiting_run_json() -> Value {
    with(run_json(), json!({"steps": null, "attention": null, "children": null, "output": null, "failure": null}))
}

/// A step that succeeded at once.
pub(crate) fn done_step_json() -> Value {
    with(step_json(), json!({"error": null, "attempt_log": [], "next_attempt_at": null, "due_at": null}))
}

/// A run with all its fields.
pub(crate) fn run_json() -> Value {
    json!({
        "id": RUN, "workflow": "order", "version": 1, "key": "k-1", "queue": "default", "status": "waiting",
        "input": {"sku": "tea"}, "output": {"paid": true},
        "failure": {"code": "declined", "message": "no money", "step": 1},
        "waiting_on": {"kind": "signal", "name": "cancel", "since": AT, "until": null}, "tags": {"region": "r1"},
        "created_at": AT, "started_at": AT, "finished_at": null, "parent_id": null, "trace_id": "0af7",
        "steps": [step_json()], "attention": [attention_json()], "children": [RUN],
    })
}

/// A step with all its fields.
pub(crate) fn step_json() -> Value {
    let error = json!({"code": "timeout", "message": "no answer", "unknown": true});
    json!({
        "seq": 1, "name": "charge", "kind": "activity", "activity": "charge", "direction": "forward", "outcome": "ok",
        "attempts": 1, "idempotency_key": "k", "input": [1], "output": "done", "error": error,
        "attempt_log": [{"attempt": 1, "verification": true, "outcome": "unknown", "started_at": AT, "ended_at": AT,
            "error": error}],
        "started_at": AT, "finished_at": AT, "next_attempt_at": AT, "due_at": AT, "undo_after": [2], "worker": "w",
    })
}

fn attention_json() -> Value {
    json!({
        "seq": 1, "step": "charge", "kind": "unknown", "code": "timeout", "message": "no answer", "since": AT,
        "fingerprint": "00000000deadbeef",
    })
}

/// A group with all its fields.
pub(crate) fn attention_group_json() -> Value {
    json!({
        "fingerprint": "00000000deadbeef", "kind": "stuck", "workflow": "order", "step": "charge", "queue": null,
        "code": "timeout", "message": "no answer", "count": 2, "first_seen": AT, "last_seen": AT, "example": RUN,
    })
}

/// An entry of the audit.
pub(crate) fn audit_json() -> Value {
    json!({
        "id": 7, "at": AT, "actor": "cli:ann", "action": "compensate", "run_id": RUN, "subject": null,
        "operation_id": null, "outcome": "refused", "code": "wrong_state", "message": "it has ended",
        "reason": "the customer called", "before": {"status": "waiting"}, "after": null,
    })
}

/// A plan with all its fields.
pub(crate) fn plan_json() -> Value {
    let undo = json!({
        "seq": 2, "activity": "charge", "outcome": "open", "input": 1, "after": [3], "summary": "refund 25.00 EUR",
    });
    json!({
        "run": RUN, "action": "cancel", "dry_run": true, "status": "stuck", "undo": [undo], "retry": [4],
        "stays": [undo], "says": ["one step is undone"],
    })
}

/// A plan of a fork.
pub(crate) fn fork_json() -> Value {
    json!({
        "run": RUN, "action": "fork", "dry_run": true, "status": "failed", "new_run": null, "from_step": 2,
        "kept": [0, 1], "again": [2], "says": ["the new run has the results of 2 steps"],
    })
}

/// An operation with all its fields.
pub(crate) fn operation_json() -> Value {
    json!({
        "id": RUN, "action": "retry", "arguments": {"policy": {"max_attempts": 3}},
        "filter": {"workflow": "order", "status": "stuck", "attention": true, "since": AT}, "reason": "it is back",
        "actor": "cli:ann", "rate": 50, "status": "running", "total": 10, "done": 5, "refused": 1, "open": 4,
        "created_at": AT, "started_at": AT, "finished_at": null, "eta": AT,
        "refusals": [{"code": "wrong_state", "count": 1, "example": "it has ended"}],
    })
}

/// What a bulk operation would do.
pub(crate) fn preview_json() -> Value {
    json!({
        "dry_run": true, "action": "cancel", "total": 2, "statuses": [{"status": "stuck", "count": 2}],
        "sample": [
            {"run_id": RUN, "plan": plan_json(), "code": null, "message": null},
            {"run_id": RUN, "plan": null, "code": "past_pivot", "message": "it is past its pivot"},
        ],
    })
}

/// A schedule with all its fields.
pub(crate) fn schedule_json() -> Value {
    json!({
        "name": "report", "cron": "0 9 * * 1", "time_zone": "Europe/Berlin", "workflow": "report",
        "input": {"of": "last week"}, "queue": "reports", "overlap": "skip", "catch_up": "latest", "paused": false,
        "next": [AT], "last": slot_json(), "missed": 1, "queued": 0, "created_at": AT, "updated_at": AT,
    })
}

/// A slot.
pub(crate) fn slot_json() -> Value {
    json!({"slot": AT, "outcome": "started", "run_id": RUN, "message": null, "at": AT})
}

/// A hold's note.
pub(crate) fn hold_note_json() -> Value {
    json!({"actor": "cli:ann", "reason": "the gateway is down", "since": AT})
}

/// A worker with all its fields.
pub(crate) fn worker_json() -> Value {
    json!({
        "id": 1, "name": "w", "alive": true, "queues": ["default"], "workflows": ["order v1"], "slots": 500,
        "active_runs": 12, "started_at": AT, "last_beat": AT,
        "lanes": [{"id": 1, "alive": true, "beat": AT, "active_runs": 12}],
    })
}

/// A queue with all its fields.
pub(crate) fn queue_json() -> Value {
    json!({
        "name": "default", "due": 1, "held": 2, "oldest_due_at": AT, "workers": ["w"], "hold": hold_note_json(),
    })
}

/// A workflow with all its fields.
pub(crate) fn workflow_json() -> Value {
    json!({
        "name": "order", "versions": [{"version": 1, "registered_at": AT, "workers": ["w"]}],
        "visibility": "internal", "input": {"type": "object"}, "output": null, "hold": hold_note_json(),
    })
}
