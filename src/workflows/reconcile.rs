//! `reconcile`: scheduled every 15 minutes, and on demand, it compares the books with the gateway's. Mending is left to
//! operators: `mend_difference` does what one of them wants done about one difference.

use crate::{
    activities::{CompareBooks, DifferenceRef, MendRefund, MendStock, MendVoid, Reconciled, SettleDifference},
    engine::{Context, Failure, Visibility, Workflow},
    orders::{
        difference::Mend,
        runs::{self, MendInput, ReconcileInput},
    },
};

/// A comparison with the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Reconcile;

impl Workflow for Reconcile {
    const NAME: &'static str = runs::RECONCILE;
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = ReconcileInput;
    type Output = Reconciled;

    async fn run(&self, cx: &Context, input: ReconcileInput) -> Result<Reconciled, Failure> {
        Ok(cx.call::<CompareBooks>(input).await?)
    }
}

/// A mend. It has nothing to undo: what fails leaves the difference open, and another run may mend it.
#[derive(Clone, Copy, Debug)]
pub struct MendRun;

impl Workflow for MendRun {
    const NAME: &'static str = runs::MEND;
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = MendInput;
    type Output = ();

    async fn run(&self, cx: &Context, input: MendInput) -> Result<(), Failure> {
        let difference_id = input.difference_id;
        match input.mend {
            Mend::Refund => drop(cx.call::<MendRefund>(input).await?),
            Mend::Void => cx.call::<MendVoid>(input).await?,
            Mend::Restock | Mend::Recount => cx.call::<MendStock>(input).await?,
            Mend::WriteOff => {}
        }
        Ok(cx.call::<SettleDifference>(DifferenceRef { difference_id }).await?)
    }
}
