//! Maps by the ids of runs, with a hash that costs next to nothing: the ids are random already.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
};

use super::model::RunId;

/// Runs.
pub(crate) type RunSet = HashSet<RunId, BuildHasherDefault<IdHasher>>;

/// Something of each of some runs.
pub(crate) type RunMap<T> = HashMap<RunId, T, BuildHasherDefault<IdHasher>>;

/// Folds an id to the random bits of its end, mixed with those of its beginning. Only for runs that
/// a lane holds: what a caller names may be chosen to collide.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.0 = (self.0.rotate_left(23) ^ u64::from_be_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length: always the same.
    }

    fn finish(&self) -> u64 {
        // The map takes the bucket from the low bits and a tag from the high ones: a product has its best bits at the top.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, hash::Hash};

    use super::*;

    #[test]
    fn ids_of_one_moment_are_spread() {
        let buckets = (0..4096).map(|_| {
            let mut hasher = IdHasher::default();
            RunId::now_v7().hash(&mut hasher);
            hasher.finish() % 4096
        });
        assert!(buckets.collect::<BTreeSet<u64>>().len() > 2300);
    }
}
