//! Which vendor an order's payment goes to, and when it may go to the next. Pure.
//!
//! The first is drawn by weight from the order's id, so that it is the same however often it is asked for; the others follow in
//! their order. A payment moves on only from a vendor where it can certainly no longer be captured.

use uuid::Uuid;

/// What came of a payment at one vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was not even made, or nothing about it is known that could be captured.
    NotMade,
    /// No attempt to charge it was sent, or each of them was refused unread.
    NotServed,
    /// The vendor has confirmed that it is void.
    Voided,
    /// The payer's bank said no.
    Declined,
    /// It is captured.
    Captured,
    /// It may be captured.
    Unknown,
}

impl Tried {
    /// Whether the next vendor may be asked. A decline is an answer: another vendor is not asked to get another one.
    pub const fn may_go_on(self) -> bool {
        matches!(self, Self::NotMade | Self::NotServed | Self::Voided)
    }
}

/// The places of the vendors in the order in which an order tries them; `weights` are those of vendors that it has a token for.
pub fn order_of(order: Uuid, weights: &[u32]) -> Vec<usize> {
    let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    // Of a UUIDv7 the last 62 bits are random.
    let mut drawn = (order.as_u64_pair().1 & (u64::MAX >> 2)).checked_rem(all).unwrap_or(0);
    let mut first = 0;
    for (place, weight) in weights.iter().enumerate() {
        if drawn < u64::from(*weight) {
            first = place;
            break;
        }
        drawn = drawn.saturating_sub(u64::from(*weight));
    }
    let others = (0..weights.len()).filter(|place| *place != first);
    weights.first().map(|_| first).into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weights_share_the_orders_out() {
        let mut first = [0_u32; 3];
        for _ in 0..3_000 {
            first[order_of(Uuid::now_v7(), &[2, 1, 0])[0]] += 1;
        }
        assert!((1_800..2_200).contains(&first[0]) && first[2] == 0, "{first:?}");
        assert_eq!(order_of(Uuid::now_v7(), &[0, 0]), [0, 1], "without weights, in their order");
        assert_eq!(order_of(Uuid::now_v7(), &[]), [0_usize; 0]);
    }

    /// What a vendor does with one call.
    #[derive(Clone, Copy, Debug)]
    enum Fault {
        Refuses,
        Serves,
        LosesBefore,
        LosesAfter,
        Declines,
    }

    fn fault() -> impl Strategy<Value = Fault> {
        prop_oneof![
            Just(Fault::Refuses),
            Just(Fault::Serves),
            Just(Fault::LosesBefore),
            Just(Fault::LosesAfter),
            Just(Fault::Declines)
        ]
    }

    /// A vendor with one payment: it keeps its word, but its answers may be lost, before or after their effect.
    #[derive(Default)]
    struct Vendor {
        made: bool,
        captured: bool,
        void: bool,
        faults: Vec<Fault>,
    }

    impl Vendor {
        /// The answer to a call: whether it had its effect, as the vendor says; `None` where no answer came.
        fn call(&mut self, effect: impl Fn(&mut Self)) -> Option<Result<(), Fault>> {
            match self.faults.pop().unwrap_or(Fault::Serves) {
                Fault::Serves => {
                    effect(self);
                    Some(Ok(()))
                }
                Fault::LosesAfter => {
                    effect(self);
                    None
                }
                Fault::LosesBefore => None,
                refusal => Some(Err(refusal)),
            }
        }

        fn capture(&mut self) {
            self.captured |= self.made && !self.void;
        }

        fn void(&mut self) {
            self.void |= !self.captured;
        }

        /// One vendor's part of the order's workflow.
        fn collect(&mut self) -> Tried {
            if self.call(|vendor| vendor.made = true) != Some(Ok(())) {
                return Tried::NotMade;
            }
            match self.call(Self::capture) {
                Some(Ok(())) if self.captured => return Tried::Captured,
                Some(Err(Fault::Declines)) => return Tried::Declined,
                Some(Err(_)) => return Tried::NotServed,
                _ => {}
            }
            for _ in 0..3 {
                if self.call(Self::void) == Some(Ok(())) {
                    return if self.captured { Tried::Captured } else { Tried::Voided };
                }
            }
            Tried::Unknown
        }
    }

    impl PartialEq for Fault {
        fn eq(&self, other: &Self) -> bool {
            std::mem::discriminant(self) == std::mem::discriminant(other)
        }
    }

    proptest! {
        /// Whatever fails: one capture at most, and where the money is, there the order stops.
        #[test]
        fn an_order_is_never_captured_twice(
            id in any::<u128>(),
            weights in prop::collection::vec(0_u32..5, 1..5),
            faults in prop::collection::vec(prop::collection::vec(fault(), 0..6), 5),
        ) {
            let order = order_of(Uuid::from_u128(id), &weights);
            prop_assert_eq!(order.iter().collect::<std::collections::BTreeSet<_>>().len(), weights.len());
            let mut vendors: Vec<Vendor> =
                faults.into_iter().map(|faults| Vendor { faults, ..Vendor::default() }).collect();
            let mut end = Tried::Unknown;
            for place in order {
                end = vendors[place].collect();
                if !end.may_go_on() {
                    break;
                }
            }
            let captured = vendors.iter().filter(|vendor| vendor.captured).count();
            prop_assert!(captured <= 1);
            prop_assert!(captured == 0 || matches!(end, Tried::Captured | Tried::Unknown), "{:?}", end);
        }
    }
}
