//! What the wire demands of single fields when they are read.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use super::RunFilter;
use crate::engine::core::model::{Json, to_json};

/// Reads a payload through a buffer. Where a struct stands flattened in another one, serde buffers its fields, and JSON that
/// is kept as it came can't be read from that buffer.
pub(super) fn buffered_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    value.map(|value| to_json(&value).map_err(D::Error::custom)).transpose()
}

/// Reads the filter of an answer. A request with an unknown condition is refused, because without it more runs would match;
/// in an answer of a newer server it is left out.
pub(super) fn known_conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RunFilter, D::Error> {
    let mut conditions = Map::<String, Value>::deserialize(deserializer)?;
    conditions.retain(|name, _| RunFilter::FIELDS.contains(&name.as_str()));
    RunFilter::deserialize(Value::Object(conditions)).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    use super::super::{samples::*, *};

    /// Members whose members are the caller's own.
    const FREE: [&str; 8] = ["tags", "arguments", "input", "output", "payload", "cause", "before", "after"];

    fn again<T: DeserializeOwned + Serialize>(sample: &Value) -> Value {
        let read: T = serde_json::from_value(sample.clone()).expect("it can be read");
        serde_json::to_value(&read).expect("it can be written")
    }

    fn with_added_members(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let known = members.iter().map(|(name, value)| {
                    let free = FREE.contains(&name.as_str());
                    (name.clone(), if free { value.clone() } else { with_added_members(value) })
                });
                let added = [("added_later".to_owned(), json!({"a": [1, null]}))];
                Value::Object(known.chain(added).collect())
            }
            Value::Array(items) => items.iter().map(with_added_members).collect(),
            other => other.clone(),
        }
    }

    fn check<T: DeserializeOwned + Serialize>(sample: &Value) {
        let name = std::any::type_name::<T>();
        assert_eq!(&again::<T>(sample), sample, "{name}");
        assert_eq!(&again::<T>(&with_added_members(sample)), sample, "{name} of a newer server");
        let list = json!({"items": [sample, sample], "next_cursor": "c"});
        assert_eq!(again::<Slice<T>>(&list), list, "a slice of {name}");
    }

    fn merged(mut one: Value, other: Value) -> Value {
        if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
            one.extend(other);
        }
        one
    }

    fn key_json() -> Value {
        json!({
            "id": "ab", "name": "ci", "role": "starter", "state": "active", "created_by": "cli:ann",
            "created_at": "2026-01-01T00:00:00Z", "expires_at": null, "revoked_at": null, "last_used_at": null,
        })
    }

    #[test]
    fn every_read_model_is_read_as_it_was_written() {
        check::<Run>(&run_json());
        check::<RunStep>(&step_json());
        check::<AttentionGroup>(&attention_group_json());
        check::<AuditEntry>(&audit_json());
        check::<ActionPlan>(&plan_json());
        check::<ForkPlan>(&fork_json());
        check::<Operation>(&operation_json());
        check::<OperationPreview>(&preview_json());
        check::<Schedule>(&schedule_json());
        check::<Slot>(&slot_json());
        check::<WorkerInfo>(&worker_json());
        check::<QueueInfo>(&queue_json());
        check::<WorkflowInfo>(&workflow_json());
        check::<ApiKey>(&key_json());
        check::<CreatedKey>(&merged(key_json(), json!({"token": "bsk_ab_c"})));
        let slots = json!({"items": [slot_json()], "next_cursor": null});
        check::<ScheduleDetail>(&merged(schedule_json(), json!({"slots": slots})));
        check::<ScheduleChange>(&merged(schedule_json(), json!({"created": true, "dry_run": false})));
    }

    #[test]
    fn small_read_models_are_read_as_they_were_written() {
        let (run, at) = ("01998877-6655-7443-8221-100000000000", "2026-01-01T00:00:00Z");
        check::<Hold>(&merged(hold_note_json(), json!({"kind": "queue", "name": "default"})));
        check::<OperationRun>(&json!({"run_id": run, "outcome": "done", "code": null, "message": null, "at": at}));
        check::<ScheduledRun>(&json!({"schedule": "report", "slot": at, "run_id": run, "dry_run": false}));
        check::<StatusCount>(&json!({"status": "stuck", "count": 3, "exact": true}));
        check::<Retention>(&json!({"workflow": null, "keep_s": 60, "updated_at": null}));
        check::<Keeping>(&json!({
            "retention": [{"workflow": "order", "keep_s": 60, "updated_at": at}],
            "partitions": [{"name": "2026-01-05", "go": 1, "stay": 2, "is_old": true}],
        }));
        check::<RunResult>(&json!({"id": run, "status": "completed", "ended": true, "output": [1], "failure": null}));
        check::<Why>(&json!({
            "id": run, "workflow": "order", "status": "pending", "sentences": ["It is due."], "waiting_on": null,
            "since": at, "next": {"what": "a worker takes it", "at": null}, "who": "worker", "actions": ["cancel"],
            "failure": null, "attention": [],
        }));
        check::<RunExport>(&json!({
            "format": "backstitch.run/1", "exported_at": at, "run": run_json(),
            "signals": [{"id": 1, "name": "paid", "payload": {"a": 1}, "key": null, "consumed_by": 2, "created_at": at}],
            "compensation": {"cause": {"code": "declined"}, "planned_at": at}, "slot": {"schedule": "report", "slot": at},
            "children": [run], "audit": [audit_json()],
        }));
        let activity = json!({
            "name": "charge", "input": null, "output": {"type": "object"}, "undoable": true, "verifiable": true,
            "transactional": false, "queue": null, "hold": null,
            "policy": {"max_attempts": 8, "first_ms": 1, "longest_ms": 2, "attempt_timeout_ms": 3, "deadline_ms": null,
                "undo_max_attempts": 9},
        });
        check::<Workflows>(&json!({"items": [workflow_json()], "activities": [activity], "next_cursor": null}));
    }

    #[test]
    fn an_unknown_word_is_an_error_that_says_so() {
        let newer = merged(run_json(), json!({"status": "dreaming"}));
        let error = serde_json::from_value::<Run>(newer).expect_err("no such status");
        assert!(error.to_string().starts_with("there is no status dreaming; there are pending"), "{error}");
    }

    #[test]
    fn a_filter_names_all_its_fields() {
        let text = |name: &str| Some(name.to_owned());
        let at = "2026-01-01T00:00:00Z".parse().ok();
        let filter = RunFilter {
            workflow: text("w"),
            version: Some(1),
            status: Some(RunStatus::Stuck),
            key: text("k"),
            tag: text("t"),
            error: text("e"),
            step: text("s"),
            fingerprint: text("f"),
            attention: true,
            since: at,
            until: at,
            limit: Some(1),
            cursor: text("c"),
        };
        let members = serde_json::to_value(&filter).expect("JSON");
        let names: Vec<&str> = members.as_object().expect("members").keys().map(String::as_str).collect();
        let mut known = RunFilter::FIELDS;
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
