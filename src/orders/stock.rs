//! Who gets the stock, when several orders ask for it at the same time. Pure.

use std::collections::HashMap;

use uuid::Uuid;

use super::error::Error;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) order: Uuid,
    pub(crate) sku: String,
    pub(crate) wanted: i64,
    /// What there is for all of them.
    pub(crate) available: i64,
}

/// First come, first served: an order gets all its lines or none. Gives the orders that go without, each with the first of its
/// lines, as they are listed, that is short.
pub(crate) fn share_out(orders: &[Uuid], demands: Vec<Demand>) -> HashMap<Uuid, Error> {
    let mut left: HashMap<String, i64> = HashMap::new();
    let mut of_order: HashMap<Uuid, Vec<Demand>> = HashMap::new();
    for demand in demands {
        left.entry(demand.sku.clone()).or_insert(demand.available);
        of_order.entry(demand.order).or_default().push(demand);
    }
    let mut short = HashMap::new();
    for order in orders {
        let demands = of_order.remove(order).unwrap_or_default();
        let left_of = |left: &HashMap<String, i64>, sku: &str| left.get(sku).copied().unwrap_or(0);
        match demands.iter().find(|demand| left_of(&left, &demand.sku) < demand.wanted) {
            Some(Demand { sku, wanted, .. }) => {
                let (sku, available) = (sku.clone(), left_of(&left, sku));
                short.insert(*order, Error::OutOfStock { sku, wanted: *wanted, available });
            }
            None => demands.iter().for_each(|demand| {
                left.entry(demand.sku.clone()).and_modify(|left| *left -= demand.wanted);
            }),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The same as if each came by itself, one after the other; so never more than there is.
        #[test]
        fn together_they_get_what_they_would_get_in_turn(
            stock in prop::collection::vec(0..8_i64, 1..4),
            wanted in prop::collection::vec(prop::collection::btree_map(0..3_usize, 1..5_i64, 1..4), 1..8),
        ) {
            let ids: Vec<Uuid> = (0..wanted.len()).map(|n| Uuid::from_u128(n as u128)).collect();
            let lines = |n: usize, stock: &[i64]| -> Vec<Demand> {
                let line = |(item, wanted): (&usize, &i64)| {
                    let item = item % stock.len();
                    Demand { order: ids[n], sku: format!("s{item}"), wanted: *wanted, available: stock[item] }
                };
                let mut lines: Vec<Demand> = wanted[n].iter().map(line).collect();
                lines.dedup_by(|one, other| one.sku == other.sku);
                lines.retain({
                    let mut seen = std::collections::HashSet::new();
                    move |line| seen.insert(line.sku.clone())
                });
                lines
            };
            let together = share_out(&ids, (0..ids.len()).flat_map(|n| lines(n, &stock)).collect());
            let mut left = stock.clone();
            for (n, id) in ids.iter().enumerate() {
                let demands = lines(n, &left);
                let alone = share_out(&[*id], demands.clone());
                prop_assert_eq!(together.get(id).map(ToString::to_string), alone.get(id).map(ToString::to_string));
                if alone.is_empty() {
                    for demand in demands {
                        let item: usize = demand.sku[1..].parse().expect("a number");
                        left[item] -= demand.wanted;
                        prop_assert!(left[item] >= 0);
                    }
                }
            }
        }
    }
}
