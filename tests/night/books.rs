//! The morning after: the gateway's ledger, our books and the stock agree, and the audit log names who did what and why.

use serde_json::Value;

use crate::stage::{ON_HAND, SKU, Stage};

/// Nobody was charged twice, nobody is owed anything, every unit is accounted for.
pub(crate) async fn add_up(stage: &Stage) {
    let mut theirs = stage.simulator.moved().await;
    let query = "SELECT id::text, state, captured, refunded FROM shop.orders";
    let ours: Vec<(String, String, i64, i64)> = sqlx::query_as(query).fetch_all(&stage.pool).await.expect("reads");
    assert_eq!(ours.len(), 1_000);
    for (id, state, captured, refunded) in ours {
        let moved = theirs.remove(&id).unwrap_or_default();
        assert!(moved.charges <= 1, "order {id} was charged {} times", moved.charges);
        assert_eq!((moved.captured, moved.refunded), (captured, refunded), "order {id}: theirs and ours");
        assert_eq!(captured - refunded, if state == "placed" { 1000 } else { 0 }, "order {id}, {state}");
    }
    assert!(theirs.is_empty(), "payments for orders that there are not: {theirs:?}");
    let item = stage.call("GET", &format!("/v1/items/{SKU}"), &Value::Null).await;
    let placed: i64 = stage.ask("SELECT count(*) FROM shop.orders WHERE state = 'placed'").await;
    assert_eq!((item["on_hand"].as_i64(), item["held"].as_i64()), (Some(ON_HAND - placed), Some(0)));
}

/// Who did what, in which order, and why: what the person on call did bears their name and a reason, one by one and in bulk.
pub(crate) fn audit_tells_the_story(audit: &[Value], actor: &str) {
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let night: Vec<&Value> = audit.iter().filter(|entry| word(entry, "actor").starts_with(actor)).collect();
    for entry in &night {
        assert!(!word(entry, "reason").is_empty(), "nobody knows why: {entry}");
        assert_eq!(word(entry, "outcome"), "done", "{entry}");
    }
    let retried = night.iter().filter(|entry| word(entry, "action") == "retry").count();
    assert!(retried >= 400, "three hundred stuck runs, and a hundred of them twice, are one entry each: {retried}");
    let mut story: Vec<String> = night.iter().map(|entry| word(entry, "action")).collect();
    story.dedup();
    let mut expected = ["hold", "release", "operate", "retry", "operate", "retry", "compensate"].iter().peekable();
    for action in &story {
        let _ = expected.next_if(|next| *next == action);
    }
    assert!(expected.peek().is_none(), "{expected:?} is missing from {story:?}");
}
