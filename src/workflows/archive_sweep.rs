//! `archive_sweep`: scheduled every 30 minutes, it archives orders that have ended and were not archived by their run
//! (those that were undone), and drops history that is too old.

use crate::{
    activities::{SweepArchive, Swept},
    engine::{Context, Failure, Visibility, Workflow},
    orders::runs::{self, SweepInput},
};

/// Transactions per sweep; the next sweep continues.
const MOST_BITES: u32 = 100;

/// The sweep of the archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveSweep;

impl Workflow for ArchiveSweep {
    const NAME: &'static str = runs::ARCHIVE_SWEEP;
    const VISIBILITY: Visibility = Visibility::Internal;
    type Input = SweepInput;
    type Output = Swept;

    async fn run(&self, cx: &Context, input: SweepInput) -> Result<Swept, Failure> {
        let mut all = Swept::default();
        for _ in 0..MOST_BITES {
            let swept = cx.call::<SweepArchive>(input.clone()).await?;
            all.archived += swept.archived;
            all.dropped_months += swept.dropped_months;
            all.forgotten += swept.forgotten;
            all.more = swept.more;
            if !swept.more {
                break;
            }
        }
        Ok(all)
    }
}
