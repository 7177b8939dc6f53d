//! Pages of the gateway's own lists: what it has, whatever we know of it.
//!
//! An object that can't be read says nothing, and must not hide the others: it is counted. A page that can't be continued is
//! an error, because what comes after it would seem not to be there.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    types::{Intent, Refund},
    wire::{Odd, WireIntent, WireList, WireRefund},
};

/// An object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The object.
    pub item: T,
    /// When it was made, in Unix seconds of the gateway's clock.
    pub made_at_s: i64,
}

/// A page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What could be read.
    pub items: Vec<Listed<T>>,
    /// How many objects could not.
    pub unreadable: usize,
    /// What to ask for the next page with; none on the last one.
    pub next: Option<String>,
}

impl TryFrom<WireList<Value>> for Page<Intent> {
    type Error = Odd;

    fn try_from(wire: WireList<Value>) -> Result<Self, Odd> {
        read_page::<WireIntent, Intent>(wire)
    }
}

impl TryFrom<WireList<Value>> for Page<Refund> {
    type Error = Odd;

    fn try_from(wire: WireList<Value>) -> Result<Self, Odd> {
        read_page::<WireRefund, Refund>(wire)
    }
}

/// A list on the wire as a page.
fn read_page<W, T>(wire: WireList<Value>) -> Result<Page<T>, Odd>
where
    W: DeserializeOwned,
    T: TryFrom<W>,
{
    let next = match wire.data.last() {
        Some(last) if wire.has_more => {
            let id = last["id"].as_str().filter(|id| !id.is_empty());
            Some(id.ok_or_else(|| Odd::new("there is more after an object without an id"))?.to_owned())
        }
        None if wire.has_more => return Err(Odd::new("there is more after an empty page")),
        _ => None,
    };
    let all = wire.data.len();
    let read = |object: Value| {
        let made_at_s = object["created"].as_i64()?;
        let item = serde_json::from_value::<W>(object).ok()?.try_into().ok()?;
        Some(Listed { item, made_at_s })
    };
    let items: Vec<Listed<T>> = wire.data.into_iter().filter_map(read).collect();
    Ok(Page { unreadable: all.saturating_sub(items.len()), items, next })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(data: Value, has_more: bool) -> Result<Page<Intent>, Odd> {
        let wire = serde_json::from_value(json!({"data": data, "has_more": has_more})).expect("a list");
        read_page::<WireIntent, Intent>(wire)
    }

    #[test]
    fn an_odd_object_is_counted_and_hides_no_other() {
        let intent = |id: &str| {
            json!({"id": id, "created": 5, "status": "succeeded", "amount": 450, "amount_received": 450,
                "currency": "eur", "metadata": {"order_id": "o1"}})
        };
        let mut odd = intent("pi_2");
        odd["amount_received"] = json!(null);
        let mut ageless = intent("pi_3");
        ageless["created"] = json!(null);
        let read = page(json!([intent("pi_1"), odd, ageless]), true).expect("a page");
        assert_eq!((read.items.len(), read.unreadable, read.next.as_deref()), (1, 2, Some("pi_3")));
        assert_eq!(page(json!([intent("pi_1")]), false).expect("a page").next, None);
        assert!(page(json!([]), true).is_err() && page(json!([{"created": 5}]), true).is_err());
    }
}
