//! What the workflows of several scenarios are made of: an order of about 500 bytes goes in, about 100 bytes come out of each step.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::engine::{Error, to_json};

/// The input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
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

/// The one order that every run has.
///
/// # Errors
/// When it has no JSON form, which would be a mistake in this file.
pub(super) fn input() -> Result<Arc<RawValue>, Error> {
    let item = |n: u32| Item { sku: format!("sku-{n:05}"), quantity: n, price: 1999 };
    let order = Order {
        id: "order-000000000001".into(),
        customer: "customer-0000000001".into(),
        items: (1..=4).map(item).collect(),
        address: "1 Long Street, Some Town, Some Country, 12345".into(),
        note: "x".repeat(180),
    };
    to_json(&order).map_err(|error| Error::InvalidRequest(error.to_string()))
}

/// The output of each step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    hold: String,
    at: String,
    note: String,
}

impl Note {
    /// The one that every step gives.
    pub(super) fn new() -> Self {
        Self { hold: "h-123456".into(), at: "2026-11-21T00:00:00Z".into(), note: "y".repeat(44) }
    }
}

/// A workflow that calls one step after the other; the last one's output is its own.
macro_rules! in_turn {
    ($type:ident, $name:literal, [$($step:ident),+], $last:ident) => {
        pub(super) struct $type;
        impl crate::engine::Workflow for $type {
            const NAME: &'static str = $name;
            type Input = super::parts::Order;
            type Output = super::parts::Note;

            async fn run(
                &self,
                cx: &crate::engine::Context,
                _: Self::Input,
            ) -> Result<Self::Output, crate::engine::Failure> {
                $(cx.call::<$step>(()).await?;)+
                Ok(cx.call::<$last>(()).await?)
            }
        }
    };
}
pub(super) use in_turn;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_outputs_have_the_agreed_sizes() {
        let input = input().expect("the order has a JSON form");
        assert!((450..=550).contains(&input.get().len()), "{} bytes of input", input.get().len());
        let output = serde_json::to_string(&Note::new()).expect("a note has a JSON form");
        assert!((90..=110).contains(&output.len()), "{} bytes of output", output.len());
    }
}
