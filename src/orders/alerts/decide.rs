//! What operators are told: from what is wrong and what they know, to what is said now. Pure.
//!
//! What is new is said once, what has grown a lot again after an hour, what stays after a day, what is over once. So that a night in
//! which everything fails fills no mailbox, few messages go in an hour; the last of those that may go says all the rest.

use std::{cmp::Reverse, collections::HashMap};

use chrono::TimeDelta;

use super::model::{Change, Condition, Known, News};
use crate::engine::Time;

/// Between two messages that the same thing is wrong.
pub(super) const PAUSE: TimeDelta = TimeDelta::hours(1);
/// Of what stays as it is.
pub(super) const REMINDED_AFTER: TimeDelta = TimeDelta::hours(24);
/// Something is over once it has been away for so long: what comes and goes is told once.
pub(super) const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(1);
/// Messages in any hour.
pub(super) const MOST_IN_AN_HOUR: usize = 10;
/// Those of them that go without a pause before them.
pub(super) const MOST_AT_ONCE: usize = 5;
/// The pause before each of the others: no news waits for longer.
pub(super) const PAUSE_WHEN_MANY: TimeDelta = TimeDelta::minutes(12);
/// What has grown by fewer has not grown a lot.
const LEAST_GROWTH: i64 = 5;

/// What is said, and what operators know then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) messages: Vec<Vec<News>>,
    pub(super) known: Vec<Known>,
}

/// `found`: all that is wrong now; only a part of it where it is not `complete`, of which nothing follows about the rest. `sent`: when
/// messages were sent in the last hour.
pub(super) fn decide(now: Time, (found, complete): (&[Condition], bool), known: Vec<Known>, sent: &[Time]) -> Decision {
    let mut known: HashMap<String, Known> = known.into_iter().map(|known| (known.key.clone(), known)).collect();
    let mut news: Vec<News> = Vec::new();
    for condition in found {
        let change = match known.get_mut(&condition.key) {
            None => Some(Change::New),
            Some(known) => compare(now, condition, known),
        };
        let since = known.get(&condition.key).filter(|known| !known.is_over).map(|known| known.since);
        let since = since.or(condition.since).unwrap_or(now);
        news.extend(change.map(|change| News { change, since, condition: condition.clone() }));
    }
    let is_found = |key: &str| found.iter().any(|condition| condition.key == key);
    if complete {
        let away = known.values_mut().filter(|known| !is_found(&known.key));
        news.extend(away.filter_map(|known| settle(now, known)));
        known.retain(|key, known| is_found(key) || !known.is_over || now - known.said_at < PAUSE);
    }
    // What is worst stands for itself.
    news.sort_by_key(|news| (news.change, Reverse(news.condition.count), news.condition.key.clone()));
    let messages = group(news, room(now, sent));
    for news in messages.iter().flatten() {
        let key = news.condition.key.clone();
        match (news.change, known.get_mut(&key)) {
            (Change::Over, Some(known)) => known.is_over = true,
            _ => drop(known.insert(key, said(now, news))),
        }
    }
    let mut known: Vec<Known> = known.into_values().collect();
    known.sort_by(|one, other| one.key.cmp(&other.key));
    Decision { messages, known }
}

/// What there is to say of something wrong that operators know of.
fn compare(now: Time, condition: &Condition, known: &mut Known) -> Option<Change> {
    let told_for = now - known.said_at;
    if known.is_over {
        return (told_for >= PAUSE).then_some(Change::New);
    }
    known.gone_since = None;
    let growth = condition.count.saturating_sub(known.said_count);
    let grown = growth >= LEAST_GROWTH && growth >= known.said_count;
    match told_for {
        told_for if grown && told_for >= PAUSE => Some(Change::Grown),
        told_for if told_for >= REMINDED_AFTER => Some(Change::Still),
        _ => None,
    }
}

/// What there is to say of something that is not found.
fn settle(now: Time, known: &mut Known) -> Option<News> {
    if known.is_over {
        return None;
    }
    let gone_since = *known.gone_since.get_or_insert(now);
    let Known { key, title, path, since, .. } = known.clone();
    let condition = Condition { key, title, path, ..Condition::default() };
    (now - gone_since >= SETTLED_AFTER).then_some(News { change: Change::Over, since, condition })
}

/// How many messages may go now.
fn room(now: Time, sent: &[Time]) -> usize {
    let sent: Vec<Time> = sent.iter().copied().filter(|at| now - *at < TimeDelta::hours(1)).collect();
    let rested = sent.iter().max().is_none_or(|last| now - *last >= PAUSE_WHEN_MANY);
    match MOST_AT_ONCE.saturating_sub(sent.len()) {
        0 => usize::from(rested && sent.len() < MOST_IN_AN_HOUR),
        room => room,
    }
}

/// Each in a message of its own, as long as there is room; the last one has the rest.
fn group(mut news: Vec<News>, room: usize) -> Vec<Vec<News>> {
    let Some(alone) = room.checked_sub(1).filter(|_| !news.is_empty()) else { return Vec::new() };
    let rest = news.split_off(alone.min(news.len()));
    let alone = news.into_iter().map(|news| vec![news]);
    alone.chain(Some(rest).filter(|rest| !rest.is_empty())).collect()
}

fn said(now: Time, news: &News) -> Known {
    let Condition { key, title, path, count, .. } = news.condition.clone();
    Known { key, title, path, since: news.since, said_at: now, said_count: count, gone_since: None, is_over: false }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn wrong(key: &str, count: i64) -> Condition {
        Condition { key: key.to_owned(), title: format!("{key} is wrong"), count, ..Condition::default() }
    }

    /// Operators who are told what `decide` says.
    #[derive(Default)]
    struct Operators {
        known: Vec<Known>,
        at: Vec<Time>,
    }

    impl Operators {
        fn turn(&mut self, now: Time, found: &[Condition]) -> Vec<(String, Change)> {
            self.turn_with(now, found, true).into_iter().flatten().collect()
        }

        fn turn_with(&mut self, now: Time, found: &[Condition], complete: bool) -> Vec<Vec<(String, Change)>> {
            let decision = decide(now, (found, complete), std::mem::take(&mut self.known), &self.at);
            self.known = decision.known;
            self.at.extend(decision.messages.iter().map(|_| now));
            let plain = |news: Vec<News>| news.into_iter().map(|news| (news.condition.key, news.change)).collect();
            decision.messages.into_iter().map(plain).collect()
        }
    }

    fn one(key: &str, change: Change) -> Vec<(String, Change)> {
        vec![(key.to_owned(), change)]
    }

    #[test]
    fn something_wrong_is_told_once_and_reminded_of_daily() {
        let mut operators = Operators::default();
        assert_eq!(operators.turn(at(0), &[wrong("a", 1)]), one("a", Change::New));
        for minute in [1, 61, 24 * 60 - 1] {
            assert_eq!(operators.turn(at(minute), &[wrong("a", 2)]), [], "{minute}");
        }
        assert_eq!(operators.turn(at(24 * 60), &[wrong("a", 2)]), one("a", Change::Still));
        assert_eq!(operators.turn(at(24 * 60 + 1), &[wrong("a", 2)]), []);
    }

    #[test]
    fn what_has_grown_a_lot_is_told_after_an_hour() {
        let mut operators = Operators::default();
        operators.turn(at(0), &[wrong("a", 10), wrong("b", 1)]);
        assert_eq!(operators.turn(at(59), &[wrong("a", 100), wrong("b", 5)]), []);
        assert_eq!(operators.turn(at(60), &[wrong("a", 19), wrong("b", 5)]), [], "not doubled; by four");
        assert_eq!(operators.turn(at(61), &[wrong("a", 20), wrong("b", 6)]).len(), 2);
        assert_eq!(operators.turn(at(62), &[wrong("a", 200), wrong("b", 60)]), []);
    }

    #[test]
    fn what_is_over_is_told_once_it_stays_away() {
        let mut operators = Operators::default();
        operators.turn(at(0), &[wrong("a", 1)]);
        assert_eq!(operators.turn(at(5), &[]), [], "it may be back in a moment");
        assert_eq!(operators.turn(at(5), &[wrong("a", 1)]), []);
        assert_eq!(operators.turn(at(7), &[]), []);
        assert_eq!(operators.turn(at(8), &[]), one("a", Change::Over));
        assert_eq!(operators.turn(at(9), &[]), []);
        assert_eq!(operators.turn(at(10), &[wrong("a", 1)]), [], "within the hour");
        assert_eq!(operators.turn(at(60), &[wrong("a", 1)]), one("a", Change::New));
        assert_eq!(operators.turn(at(61), &[]), []);
        assert_eq!(operators.turn(at(62), &[]), one("a", Change::Over));
        operators.turn(at(200), &[]);
        assert_eq!(operators.known, [], "nothing is kept for ever");
    }

    #[test]
    fn of_a_part_follows_nothing_about_the_rest() {
        let mut operators = Operators::default();
        operators.turn(at(0), &[wrong("a", 1), wrong("b", 1)]);
        for minute in 1..100 {
            assert_eq!(operators.turn_with(at(minute), &[wrong("a", 1)], false), [] as [Vec<_>; 0]);
        }
    }

    #[test]
    fn the_last_message_that_may_go_has_the_rest() {
        let mut operators = Operators::default();
        let many: Vec<Condition> = (0..20).map(|n| wrong(&format!("a{n:02}"), n + 1)).collect();
        let messages = operators.turn_with(at(0), &many, true);
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 1, 16]);
        assert_eq!(messages[0], one("a19", Change::New), "the worst stands for itself");
        let more = [many, vec![wrong("b", 1), wrong("c", 1)]].concat();
        assert_eq!(operators.turn(at(11), &more), []);
        assert_eq!(operators.turn_with(at(12), &more, true), [[one("b", Change::New), one("c", Change::New)].concat()]);
    }

    #[test]
    fn what_is_new_comes_before_what_stays() {
        let mut operators = Operators::default();
        operators.turn(at(0), &[wrong("a", 9)]);
        let found = ["a", "b", "c", "d", "e", "f"].map(|key| wrong(key, if key == "a" { 9 } else { 1 }));
        let messages = operators.turn_with(at(24 * 60), &found, true);
        assert_eq!(messages[0], one("b", Change::New));
        assert_eq!(messages[4], [one("f", Change::New), one("a", Change::Still)].concat());
    }

    proptest! {
        /// Whatever comes and goes: few messages in any hour, none twice within the pause, and nobody is left in the dark: what is
        /// wrong for a while is told, what is over is told once.
        #[test]
        fn nobody_is_flooded_or_left_in_the_dark(
            turns in prop::collection::vec((1_i64..8, prop::collection::btree_map(0_u8..12, 1_i64..60, 0..12)), 1..400),
        ) {
            let (mut operators, mut now) = (Operators::default(), 0);
            let mut said: BTreeMap<String, (Change, Time)> = BTreeMap::new();
            let mut wrong_since: BTreeMap<String, Time> = BTreeMap::new();
            let mut away_since: BTreeMap<String, Time> = BTreeMap::new();
            for (minutes, found) in turns {
                now += minutes;
                let found: Vec<Condition> = found.iter().map(|(key, count)| wrong(&key.to_string(), *count)).collect();
                for condition in &found {
                    wrong_since.entry(condition.key.clone()).or_insert(at(now));
                    away_since.remove(&condition.key);
                }
                wrong_since.retain(|key, _| found.iter().any(|condition| condition.key == *key));
                for key in said.keys().filter(|key| !wrong_since.contains_key(*key)) {
                    away_since.entry(key.clone()).or_insert(at(now));
                }
                for (key, change) in operators.turn(at(now), &found) {
                    let before = said.get(&key).copied();
                    match change {
                        Change::Over => {
                            prop_assert!(before.is_some_and(|(before, _)| before != Change::Over), "{key}: told before");
                            prop_assert!(!wrong_since.contains_key(&key));
                            let told_at = before.map_or(at(now), |(_, at)| at);
                            said.insert(key, (change, told_at));
                        }
                        _ => {
                            prop_assert!(before.is_none_or(|(_, said_at)| at(now) - said_at >= PAUSE), "{key}: too soon");
                            let is_news = before.is_none_or(|(before, _)| before == Change::Over);
                            prop_assert_eq!(is_news, change == Change::New);
                            said.insert(key, (change, at(now)));
                        }
                    }
                }
                let in_an_hour = operators.at.iter().filter(|sent| at(now) - **sent < TimeDelta::hours(1)).count();
                prop_assert!(in_an_hour <= MOST_IN_AN_HOUR);
                // A turn is at most 8 minutes after the one before.
                let patience = PAUSE_WHEN_MANY + TimeDelta::minutes(8);
                for (key, since) in &wrong_since {
                    let known = said.get(key);
                    let is_told = known.is_some_and(|(change, _)| *change != Change::Over);
                    let earliest = known.map_or(*since, |(_, said_at)| (*said_at + PAUSE).max(*since));
                    prop_assert!(is_told || at(now) - earliest < patience, "{key} is wrong and nobody is told");
                }
                for (key, since) in &away_since {
                    let is_over = said.get(key).is_some_and(|(change, _)| *change == Change::Over);
                    prop_assert!(is_over || at(now) - *since < SETTLED_AFTER + patience, "{key} is over and nobody is told");
                }
            }
        }
    }
}
