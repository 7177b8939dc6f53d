//! What becomes of an order between a read and a save. Pure.

use super::{
    delivery::Delivery,
    state::{OrderState, PaymentState},
};

/// What has become of an order since it was read: each move, in their order, and what is on record of what moves without one.
/// It is no part of the order: two with the same facts are equal wherever they come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// None of an order that is new.
    pub(crate) on_record: Option<Option<Delivery>>,
    pub(crate) moves: Vec<Move>,
}

/// One move.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    State(OrderState, OrderState),
    Payment(PaymentState, PaymentState),
}

impl PartialEq for Changes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Changes {
    /// None yet, of an order that was just read.
    pub(crate) fn since(delivery: Option<&Delivery>) -> Self {
        Self { on_record: Some(delivery.cloned()), moves: Vec::new() }
    }

    /// The order has moved.
    pub(crate) fn state(&mut self, from: OrderState, to: OrderState) {
        if from != to {
            self.moves.push(Move::State(from, to));
        }
    }

    /// Its payment has moved.
    pub(crate) fn payment(&mut self, from: PaymentState, to: PaymentState) {
        if from != to {
            self.moves.push(Move::Payment(from, to));
        }
    }
}
