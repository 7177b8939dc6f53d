//! Poison: a run that kills the workers that hold it. A lost worker held hundreds of runs, and only one of them did it.
//!
//! Losses are counted for all of them. From the third on a run is a suspect, and the more losses it has, the fewer
//! suspects a worker holds at the same time: half as many with each. The halves without the culprit make progress, which
//! clears them; the half with it goes on to the next loss, until the culprit is alone.

/// Losses without progress after which a run is taken for poison.
pub const POISON_AFTER: i16 = 10;

/// Losses after which a run is a suspect. Fewer come with any deployment that goes wrong.
const SUSPECT_AFTER: i16 = 3;

/// Suspects that a worker holds at the same time at first. Halved with each loss, so that the last one is alone.
const SUSPECTS_AT_FIRST: usize = 64;

/// How many suspects a worker may hold at the same time, if one of them has so many losses. None: it is no suspect. One that
/// has had too many is none either: it is not begun again.
pub fn suspects_beside(losses: i16) -> Option<usize> {
    let halvings = losses.checked_sub(SUSPECT_AFTER).filter(|_| losses < POISON_AFTER)?;
    let halvings = u32::try_from(halvings).ok()?;
    Some((SUSPECTS_AT_FIRST >> halvings).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_suspect_is_alone() {
        let beside: Vec<_> = (0..=POISON_AFTER).map(suspects_beside).collect();
        let some = [64, 32, 16, 8, 4, 2, 1].map(Some);
        assert_eq!(beside, [&[None; 3][..], &some, &[None]].concat());
    }
}
