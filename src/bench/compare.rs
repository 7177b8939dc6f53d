//! What came of rounds of several programs in turn: medians, how far they spread, and how much faster ours was.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The name of ours in a comparison.
pub const OURS: &str = "backstitch";

/// Rounds in short.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The one in the middle, or halfway between the two there.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// None: there are no values.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(lower, upper), min, max })
    }
}

/// A program and its rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contender {
    /// As it was called on the command line.
    pub name: String,
    /// Runs a second of each round.
    pub rounds: Vec<f64>,
    /// The same in short.
    pub runs_per_s: Spread,
    /// How many times as fast as it ours was, in the rounds that were run side by side. None: it is ours.
    pub ours_times: Option<Spread>,
}

/// Programs that did the same in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// What ours ran.
    pub scenario: String,
    /// Ours, then the others.
    pub contenders: Vec<Contender>,
    /// The settings of Postgres that matter here.
    pub postgres: Map<String, Value>,
}

impl Comparison {
    /// Of ours and of others, with as many rounds each. None: there was no round.
    pub(super) fn new(
        scenario: &str,
        ours: Vec<f64>,
        others: Vec<(String, Vec<f64>)>,
        postgres: Map<String, Value>,
    ) -> Option<Self> {
        let mut contenders = vec![Contender {
            name: OURS.to_owned(),
            runs_per_s: Spread::of(ours.iter().copied())?,
            rounds: ours.clone(),
            ours_times: None,
        }];
        for (name, rounds) in others {
            // Round by round: the machine may be twice as fast in the next one.
            let ratios = ours.iter().zip(&rounds).map(|(ours, theirs)| ours / theirs);
            let ours_times = Some(Spread::of(ratios)?);
            let runs_per_s = Spread::of(rounds.iter().copied())?;
            contenders.push(Contender { name, rounds, runs_per_s, ours_times });
        }
        Some(Self { scenario: scenario.to_owned(), contenders, postgres })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_the_sorted_values() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0 }));
        assert_eq!(of(&[4.0, 1.0, 9.0, 2.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine is three times as fast in the second round: medians of rates would say 4.
        let others = vec![("other".to_owned(), vec![10.0, 60.0, 5.0])];
        let comparison = Comparison::new("plain", vec![50.0, 180.0, 20.0], others, Map::new()).expect("three rounds");
        let [ours, other] = &*comparison.contenders else { panic!("{comparison:?}") };
        assert_eq!((&*ours.name, ours.runs_per_s.median, ours.ours_times), (OURS, 50.0, None));
        assert_eq!(other.runs_per_s, Spread { median: 10.0, min: 5.0, max: 60.0 });
        assert_eq!(other.ours_times, Some(Spread { median: 4.0, min: 3.0, max: 5.0 }));
    }
}
