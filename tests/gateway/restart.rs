//! Promise: a simulator that is given a file for its ledger goes on where it was.

use std::path::PathBuf;

use backstitch::{
    gateway_sim::Config,
    payments::{IntentStatus, PaymentGateway, RefundStatus},
};
use uuid::Uuid;

use crate::bench::{Bench, new_refund};

/// A file of its own, gone at the end.
struct Ledger(PathBuf);

impl Ledger {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("gateway-{}.jsonl", Uuid::new_v4())))
    }

    async fn open(&self) -> Bench {
        Bench::with(Config { ledger: Some(self.0.clone()), ..Config::default() }).await
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_ledger_outlives_its_simulator() {
    let file = Ledger::new();
    let first = file.open().await;
    let (paid, late) = (first.paid("tok_ok").await, first.paid("tok_late_success").await);
    let refund = first.gateway.refund("r1", &new_refund(&paid, 300)).await.expect("ok");
    // Killed, not stopped; and its last line is torn.
    drop(first);
    let torn = std::fs::read_to_string(&file.0).expect("it is there") + r#"{"intent":{"id":"pi_"#;
    std::fs::write(&file.0, torn).expect("it can be written");

    let second = file.open().await;
    assert_eq!((second.moved(&paid).await, second.read(&late).await.status), ((1000, 300), IntentStatus::Processing));
    let again = second.gateway.refund("r1", &new_refund(&paid, 300)).await.expect("the same answer");
    assert_eq!((again.id, again.status), (refund.id, RefundStatus::Succeeded));
    let rest = second.gateway.refund("r2", &new_refund(&paid, 700)).await.expect("the rest");
    assert_eq!((second.moved(&paid).await, rest.status), ((1000, 1000), RefundStatus::Succeeded));
    second.sim("POST", "settle", None).await;
    drop(second);

    let third = file.open().await;
    assert_eq!((third.moved(&paid).await, third.moved(&late).await), ((1000, 1000), (1000, 0)));
    third.sim("DELETE", "ledger", None).await;
    drop(third);
    assert_eq!(file.open().await.simulator.payments().await.len(), 0);
}
