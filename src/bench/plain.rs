//! The standard load: the same work that other engines are measured on.
//!
//! A run is five sequential steps, each an in-process function that returns about 100 bytes; its input is an order of about
//! 500 bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::scenario::Scenario;
use crate::engine::{
    Activity, ActivityContext, ActivityError, Context, Error, Failure, Registry, StartRun, Workflow, to_json,
};

/// Five plain steps; every run has the same input.
pub(super) struct Plain {
    input: Arc<RawValue>,
}

impl Plain {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake in this file.
    pub(super) fn new() -> Result<Self, Error> {
        let input = to_json(&make_order()).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        Ok(Self { input })
    }
}

impl Scenario for Plain {
    const STEPS_PER_RUN: u32 = 5;

    fn register(&self, registry: Registry) -> Registry {
        let registry = registry.workflow(BenchOrder).activity(Reserve).activity(Charge).activity(Confirm);
        registry.activity(Notify).activity(Archive)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchOrder::NAME, self.input.clone())
    }
}

/// The input.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    customer: String,
    items: Vec<Item>,
    address: String,
    note: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
    price: u64,
}

fn make_order() -> Order {
    let item = |n: u32| Item { sku: format!("sku-{n:05}"), quantity: n, price: 1999 };
    Order {
        id: "order-000000000001".into(),
        customer: "customer-0000000001".into(),
        items: (1..=4).map(item).collect(),
        address: "1 Long Street, Some Town, Some Country, 12345".into(),
        note: "x".repeat(180),
    }
}

/// The output of each step.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    hold: String,
    at: String,
    note: String,
}

/// The five steps differ in their names only.
macro_rules! step {
    ($type:ident, $name:literal) => {
        struct $type;
        impl Activity for $type {
            const NAME: &'static str = $name;
            type Input = ();
            type Output = Note;
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<Note, ActivityError> {
                Ok(Note { hold: "h-123456".into(), at: "2026-11-21T00:00:00Z".into(), note: "y".repeat(44) })
            }
        }
    };
}
step!(Reserve, "reserve");
step!(Charge, "charge");
step!(Confirm, "confirm");
step!(Notify, "notify");
step!(Archive, "archive");

struct BenchOrder;

impl Workflow for BenchOrder {
    const NAME: &'static str = "bench_order";
    type Input = Order;
    type Output = Note;

    async fn run(&self, cx: &Context, _: Order) -> Result<Note, Failure> {
        cx.call::<Reserve>(()).await?;
        cx.call::<Charge>(()).await?;
        cx.call::<Confirm>(()).await?;
        cx.call::<Notify>(()).await?;
        Ok(cx.call::<Archive>(()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_outputs_have_the_agreed_sizes() {
        let plain = Plain::new().expect("the order has a JSON form");
        assert!((450..=550).contains(&plain.input.get().len()), "{} bytes of input", plain.input.get().len());
        let note = Note { hold: "h-123456".into(), at: "2026-11-21T00:00:00Z".into(), note: "y".repeat(44) };
        let output = serde_json::to_string(&note).expect("a note has a JSON form");
        assert!((90..=110).contains(&output.len()), "{} bytes of output", output.len());
    }
}
