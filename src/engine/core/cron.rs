//! When a schedule's slots are: a cron expression in a time zone.
//!
//! The words are those of crontab(5): five fields (minute, hour, day of month, month, day of week), Sunday is 0 or 7, Monday
//! is 1 or MON, and where both days are restricted a day that fits either one fits. A sixth field in front is the second, a
//! seventh at the end the year. The `cron` crate, which does the searching, counts Sunday as 1 and wants both days to fit:
//! so the days of the week are translated by name here, and two restricted days become two searches.
//!
//! Slots are wall-clock times of the zone. One in the gap of a change to summer time does not exist; the hour that is
//! repeated in autumn has its slots once, the first time round.

use std::{fmt, str::FromStr};

use chrono::{DateTime, LocalResult, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use super::model::Time;

const LONGEST: usize = 200;

/// The longest that any zone repeats, with a margin: two hours.
const REPEATED_AT_MOST: TimeDelta = TimeDelta::hours(3);

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    zone: Tz,
    /// A slot is a time that any of these has.
    searches: Vec<cron::Schedule>,
}

impl Cron {
    /// Reads an expression and the name of a zone.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let zone = Tz::from_str(zone).map_err(|_| {
            format!("there is no time zone {zone:?}; write one of the IANA names, as Europe/Berlin, or UTC")
        })?;
        let wrong = |why: &dyn fmt::Display| {
            format!(
                "{text:?} is no cron expression: {why}; write minute, hour, day of month, month and day of week, as \
                 \"0 9 * * 1\" for Mondays at nine"
            )
        };
        if text.len() > LONGEST {
            return Err(wrong(&format!("it is longer than {LONGEST} characters")));
        }
        let searches = split(text).map_err(|why| wrong(&why))?;
        let read = |search: &String| cron::Schedule::from_str(search).map_err(|_| wrong(&fault(search)));
        let searches = searches.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), zone, searches })
    }

    /// The expression as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first slot after this moment; none where the expression has no more.
    pub fn after(&self, moment: Time) -> Option<Time> {
        let local = self.local(moment);
        let first = |search: &cron::Schedule| {
            search.after(&local).filter_map(|slot| self.slot(slot)).find(|slot| *slot > moment)
        };
        self.searches.iter().filter_map(first).min()
    }

    /// The last slot at or before this moment.
    pub fn at_or_before(&self, moment: Time) -> Option<Time> {
        // Times that are later on the wall clock may have been earlier in truth: in the hour that is repeated.
        let local = self.local(moment) + REPEATED_AT_MOST;
        let last = |search: &cron::Schedule| {
            search.after(&local).rev().filter_map(|slot| self.slot(slot)).find(|slot| *slot <= moment)
        };
        self.searches.iter().filter_map(last).max()
    }

    /// The next slots after this moment, at most so many.
    pub fn upcoming(&self, moment: Time, most: usize) -> Vec<Time> {
        std::iter::successors(self.after(moment), |slot| self.after(*slot)).take(most).collect()
    }

    /// The zone's wall clock, written as if it were UTC: so that the searching knows nothing of zones.
    fn local(&self, moment: Time) -> DateTime<Utc> {
        moment.with_timezone(&self.zone).naive_local().and_utc()
    }

    /// The moment at which the zone's clocks show this for the first time; none if they never do.
    fn slot(&self, local: DateTime<Utc>) -> Option<Time> {
        match self.zone.from_local_datetime(&local.naive_utc()) {
            LocalResult::None => None,
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.with_timezone(&Utc)),
        }
    }
}

/// The expression in the words of the searching crate: one text, or two where both days are restricted.
fn split(text: &str) -> Result<Vec<String>, String> {
    if text.starts_with('@') {
        return Ok(vec![text.to_owned()]);
    }
    let mut fields: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match fields.len() {
        5 => fields.insert(0, "0".to_owned()),
        6 | 7 => {}
        0 => return Err("it is empty".to_owned()),
        1 => return Err("it has one field".to_owned()),
        count => return Err(format!("it has {count} fields")),
    }
    let is_any = |field: &str| field.starts_with('*') || field == "?";
    let both = !is_any(&fields[3]) && !is_any(&fields[5]);
    fields[5] = days_of_week(&fields[5])?;
    if !both {
        return Ok(vec![fields.join(" ")]);
    }
    let with_any = |at: usize| {
        let mut fields = fields.clone();
        "*".clone_into(&mut fields[at]);
        fields.join(" ")
    };
    Ok(vec![with_any(3), with_any(5)])
}

/// What is wrong with an expression that the searching crate refuses, in one line: its own words are a drawing of three.
fn fault(search: &str) -> String {
    const FIELDS: [&str; 7] = ["second", "minute", "hour", "day of month", "month", "day of week", "year"];
    let alone = |at: usize, field: &str| {
        let mut fields = ["*"; 7];
        fields[at] = field;
        cron::Schedule::from_str(&fields.join(" ")).is_ok()
    };
    let mut fields = search.split_whitespace().zip(FIELDS).enumerate();
    match fields.find(|(at, (field, _))| !alone(*at, field)) {
        Some((_, (field, name))) => format!("{field:?} is no {name}"),
        None => format!("{search:?} means nothing"),
    }
}

/// A day-of-week field with each day by name: the crates and crontab(5) number them differently.
fn days_of_week(field: &str) -> Result<String, String> {
    if field == "*" || field == "?" {
        return Ok("*".to_owned());
    }
    let mut fits = [false; 7];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let every: usize = step
            .map_or(Ok(1), str::parse)
            .ok()
            .filter(|every| (1..=7).contains(every))
            .ok_or_else(|| format!("the step in the day of week {item:?} is not from 1 to 7"))?;
        let (first, last) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (0, 6),
            (_, Some((first, last))) => (day(first)?, day(last)?),
            (one, None) if step.is_some() => (day(one)?, 6),
            (one, None) => (day(one)?, day(one)?),
        };
        // Sunday at the end of a range is 7, and what goes over the week's end goes on at its beginning.
        let last = if last < first { last + 7 } else { last };
        (first..=last).step_by(every).for_each(|day| fits[day % 7] = true);
    }
    let names: Vec<&str> = (0..7).filter(|day| fits[*day]).map(|day| DAYS[day]).collect();
    Ok(names.join(","))
}

fn day(text: &str) -> Result<usize, String> {
    if let Ok(number @ 0..=7) = text.parse::<usize>() {
        return Ok(number);
    }
    let by_name = DAYS.iter().position(|name| text.len() >= 3 && is_name(text, name));
    by_name.ok_or_else(|| format!("the day of week {text:?} is neither 0 to 7 (0 and 7 are Sunday) nor a name as MON"))
}

/// Three letters are enough; the whole English word is right too.
fn is_name(text: &str, name: &str) -> bool {
    const WHOLE: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
    text.eq_ignore_ascii_case(name)
        || WHOLE.iter().any(|whole| whole.starts_with(name) && text.eq_ignore_ascii_case(whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().expect("a time")
    }

    fn next(cron: &str, zone: &str, from: &str, most: usize) -> Vec<String> {
        let cron = Cron::parse(cron, zone).expect(cron);
        cron.upcoming(at(from), most).iter().map(|slot| slot.format("%a %d %b %H:%M:%S").to_string()).collect()
    }

    #[test]
    fn days_have_numbers_and_names() {
        let from = "2026-01-01T00:00:00Z"; // a Thursday
        for monday in ["0 9 * * 1", "0 9 * * MON", "0 9 * * mon", "0 9 * * Monday", "0 0 9 * * 1", "0 0 9 * * 1 2026"] {
            assert_eq!(next(monday, "UTC", from, 2), ["Mon 05 Jan 09:00:00", "Mon 12 Jan 09:00:00"], "{monday}");
        }
        for sunday in ["0 9 * * 0", "0 9 * * 7", "0 9 * * SUN"] {
            assert_eq!(next(sunday, "UTC", from, 1), ["Sun 04 Jan 09:00:00"], "{sunday}");
        }
        let weekdays = next("0 9 * * 1-5", "UTC", from, 4);
        assert_eq!(
            weekdays,
            ["Thu 01 Jan 09:00:00", "Fri 02 Jan 09:00:00", "Mon 05 Jan 09:00:00", "Tue 06 Jan 09:00:00"]
        );
        assert_eq!(next("0 9 * * 5-7", "UTC", from, 3), next("0 9 * * FRI,SAT,SUN", "UTC", from, 3));
        assert_eq!(next("0 9 * * SAT-MON", "UTC", from, 3), next("0 9 * * 6,0,1", "UTC", from, 3));
        assert_eq!(next("0 9 * * 1-5/2", "UTC", from, 3), next("0 9 * * MON,WED,FRI", "UTC", from, 3));
    }

    #[test]
    fn two_restricted_days_mean_either_one() {
        let from = "2026-02-01T00:00:00Z";
        let fits = next("0 0 13 * 5", "UTC", from, 3);
        assert_eq!(fits, ["Fri 06 Feb 00:00:00", "Fri 13 Feb 00:00:00", "Fri 20 Feb 00:00:00"]);
        assert!(next("0 0 14 * 5", "UTC", from, 4).contains(&"Sat 14 Feb 00:00:00".to_owned()));
    }

    #[test]
    fn a_slot_in_the_summer_time_gap_is_skipped() {
        // In Berlin the clocks went from 02:00 to 03:00 on 29 March 2026.
        let slots = next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3);
        assert_eq!(slots, ["Sat 28 Mar 01:30:00", "Mon 30 Mar 00:30:00", "Tue 31 Mar 00:30:00"]);
        let slots = next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3);
        assert_eq!(slots, ["Sun 29 Mar 00:30:00", "Sun 29 Mar 01:00:00", "Sun 29 Mar 01:30:00"]);
    }

    #[test]
    fn an_hour_that_is_repeated_fires_once() {
        // In Berlin the clocks go from 03:00 back to 02:00 on 25 October 2026: 02:30 is at 00:30 and at 01:30 UTC.
        let slots = next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
        assert_eq!(slots, ["Sun 25 Oct 00:30:00", "Mon 26 Oct 01:30:00"]);
        let cron = Cron::parse("30 2 * * *", "Europe/Berlin").expect("a cron");
        assert_eq!(cron.after(at("2026-10-25T00:45:00Z")), Some(at("2026-10-26T01:30:00Z")));
        assert_eq!(cron.after(at("2026-10-25T01:15:00Z")), Some(at("2026-10-26T01:30:00Z")), "in the second hour");
        assert_eq!(cron.at_or_before(at("2026-10-25T01:15:00Z")), Some(at("2026-10-25T00:30:00Z")));
        let often = Cron::parse("*/20 * * * *", "Europe/Berlin").expect("a cron");
        assert_eq!(often.after(at("2026-10-25T00:40:00Z")), Some(at("2026-10-25T02:00:00Z")));
        assert_eq!(often.at_or_before(at("2026-10-25T01:59:00Z")), Some(at("2026-10-25T00:40:00Z")));
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        for bad in [
            "",
            "x",
            "* * * *",
            "1 2 3 4 5 6 7 8",
            "61 * * * *",
            "* 24 * * *",
            "0 9 * * 8",
            "0 9 * * MOO",
            "0 9 * * 1/0",
        ] {
            let error = Cron::parse(bad, "UTC").expect_err(bad);
            assert!(error.contains("is no cron expression") && error.contains("\"0 9 * * 1\""), "{error}");
            assert!(!error.contains('\n'), "one line: {error}");
        }
        let error = Cron::parse("* 24 * * *", "UTC").expect_err("24 is no hour");
        assert!(error.contains("\"24\" is no hour;"), "{error}");
        let error = Cron::parse("* * * * *", "Mars/Base").expect_err("no such zone");
        assert!(error.contains("Mars/Base") && error.contains("Europe/Berlin"), "{error}");
        assert!(Cron::parse("0 0 30 2 *", "UTC").is_ok_and(|never| never.after(at("2026-01-01T00:00:00Z")).is_none()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn forwards_and_backwards_find_the_same_slots(
            // Around changes of the clocks in all of these zones, and around any other moment.
            start in prop_oneof![
                1_774_500_000_i64..1_774_800_000, 1_792_700_000_i64..1_793_000_000, 1_772_900_000_i64..1_773_100_000,
                1_775_200_000_i64..1_775_400_000, 1_700_000_000_i64..1_900_000_000,
            ],
            hours in 1_i64..50,
            cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "0 */5 * * *", "15 1,2,3 * * 0", "0 0 1 * 1"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        ) {
            let cron = Cron::parse(cron, zone).expect("a cron");
            let start = DateTime::from_timestamp(start, 0).expect("a time");
            let end = start + TimeDelta::hours(hours);
            let steps = |next: &dyn Fn(Time) -> Option<Time>, first: Option<Time>| -> Vec<Time> {
                std::iter::successors(first, |slot| next(*slot)).take_while(|slot| *slot > start && *slot <= end).collect()
            };
            let forwards = steps(&|slot| cron.after(slot), cron.after(start));
            let mut backwards = steps(&|slot| cron.at_or_before(slot - TimeDelta::seconds(1)), cron.at_or_before(end));
            backwards.reverse();
            prop_assert_eq!(forwards, backwards);
        }
    }
}
