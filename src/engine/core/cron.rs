//! When a schedule's slots are: a cron expression in a time zone.
//!
//! The words are those of crontab(5): five fields (minute, hour, day of month, month, day of week), Sunday is 0 or 7, Monday
//! is 1 or MON, and where both days are restricted a day that fits either one fits. The `cron` crate, which does the
//! searching, takes seconds and years, counts Sunday as 1 and wants both days to fit: so there are five fields here, the
//! days of the week are translated by name, and two restricted days become two searches.
//!
//! What a change of the zone's clocks does to a slot depends on what is meant, as in Vixie's cron. A minute or hour that
//! begins with `*` means every so often: such a schedule follows the time that passes, so an hour that is repeated has its
//! slots both times, and one that is skipped has none. Any other is a time of the day, and fires once: the first time round
//! where it is repeated, and as much later as the clocks were put forward where it is skipped.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::{model::Time, time::Moment};

const LONGEST: usize = 200;

const DAY: i64 = 24 * 60 * 60;

/// Further than any zone's clocks were ever put at once: the islands that changed sides of the date line left a day out.
const MARGIN: i64 = 2 * DAY;

/// How far back it is looked for the change that a moment lies behind.
const LOOK_BACK: i64 = MARGIN + DAY;

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    zone: Tz,
    /// A slot is a time that any of these has.
    searches: Vec<cron::Schedule>,
    /// It fires every so often, and not at certain hours: see above.
    every: bool,
}

/// A stretch of time over which the zone's clocks are as far from UTC, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// When it began; or far enough before the moment that was asked for.
    from: i64,
    offset: i64,
    /// How far the clocks were from UTC before it.
    before: i64,
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
        let every = text == "@hourly" || text.split_whitespace().take(2).any(|field| field.starts_with('*'));
        Ok(Self { text: text.to_owned(), zone, searches, every })
    }

    /// The expression as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first slot after this moment; none where the expression has no more.
    pub fn after(&self, moment: Time) -> Option<Time> {
        let moment = moment.bounded().timestamp();
        let mut at = moment;
        loop {
            let found = self.first_in(self.stretch(at), moment)?;
            match self.change_in(at, found) {
                None => return DateTime::from_timestamp(found, 0),
                Some(change) => at = change,
            }
        }
    }

    /// The last slot at or before this moment.
    pub fn at_or_before(&self, moment: Time) -> Option<Time> {
        let mut at = moment.bounded().timestamp();
        loop {
            let stretch = self.stretch(at);
            if let Some(found) = self.last_in(stretch, at) {
                return DateTime::from_timestamp(found, 0);
            }
            // On to the stretch before, or to where the expression has a time at all.
            let latest = self.searches.iter().filter_map(|search| last(search, at + stretch.offset + MARGIN)).max()?;
            at = (stretch.from - 1).min(latest - stretch.offset + MARGIN);
        }
    }

    /// The next slots after this moment, at most so many.
    pub fn upcoming(&self, moment: Time, most: usize) -> Vec<Time> {
        std::iter::successors(self.after(moment), |slot| self.after(*slot)).take(most).collect()
    }

    /// The first slot in a stretch, as if it had no end, that comes after `moment`.
    fn first_in(&self, Stretch { from, offset, before }: Stretch, moment: i64) -> Option<i64> {
        let after = moment.max(from - 1);
        let repeated_until = if self.every { i64::MIN } else { from + before - 1 };
        let first = |search: &cron::Schedule| {
            let plain = next(search, (after + offset).max(repeated_until)).map(|local| local - offset);
            let skipped = (!self.every && before < offset)
                .then(|| next(search, after + before).filter(|local| *local < from + offset))
                .flatten();
            [plain, skipped.map(|local| local - before)].into_iter().flatten().min()
        };
        self.searches.iter().filter_map(first).min()
    }

    /// The last slot in a stretch that comes at or before `at`.
    fn last_in(&self, Stretch { from, offset, before }: Stretch, at: i64) -> Option<i64> {
        let lowest = if self.every { from + offset } else { from + before.max(offset) };
        let found = |search: &cron::Schedule| {
            let plain = last(search, at + offset).filter(|local| *local >= lowest).map(|local| local - offset);
            let skipped = (!self.every && before < offset)
                .then(|| last(search, (at + before).min(from + offset - 1)).filter(|local| *local >= from + before))
                .flatten();
            [plain, skipped.map(|local| local - before)].into_iter().flatten().max()
        };
        self.searches.iter().filter_map(found).max()
    }

    fn stretch(&self, at: i64) -> Stretch {
        let offset = self.offset(at);
        let mut to = at;
        while to > at - LOOK_BACK {
            if self.offset(to - DAY) != offset {
                let from = self.bisect(to - DAY, to);
                return Stretch { from, offset, before: self.offset(from - 1) };
            }
            to -= DAY;
        }
        Stretch { from: at - LOOK_BACK, offset, before: offset }
    }

    /// The first change of the zone's clocks after `from` and until `to`.
    fn change_in(&self, from: i64, to: i64) -> Option<i64> {
        let mut from = from;
        while from < to {
            let until = to.min(from + DAY);
            if self.offset(from) != self.offset(until) {
                return Some(self.bisect(from, until));
            }
            from = until;
        }
        None
    }

    /// The change between two moments with different offsets: the first moment with the latter one.
    fn bisect(&self, from: i64, to: i64) -> i64 {
        let (mut before, mut after, offset) = (from, to, self.offset(to));
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset(middle) == offset {
                after = middle;
            } else {
                before = middle;
            }
        }
        after
    }

    fn offset(&self, at: i64) -> i64 {
        let at = DateTime::from_timestamp(at, 0).unwrap_or_default().naive_utc();
        i64::from(self.zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
    }
}

/// The first time of an expression after a time on the wall clock. The searching knows nothing of zones.
fn next(search: &cron::Schedule, local: i64) -> Option<i64> {
    search.after(&DateTime::from_timestamp(local, 0)?).next().map(|found| found.timestamp())
}

/// The last time of an expression at or before a time on the wall clock.
fn last(search: &cron::Schedule, local: i64) -> Option<i64> {
    let from = DateTime::from_timestamp(local + 2, 0)?;
    search.after(&from).rev().map(|found| found.timestamp()).find(|found| *found <= local)
}

/// The expression in the words of the searching crate: one text, or two where both days are restricted.
fn split(text: &str) -> Result<Vec<String>, String> {
    if text.starts_with('@') {
        return Ok(vec![text.to_owned()]);
    }
    let mut fields: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    match fields.len() {
        5 => fields.insert(0, "0".to_owned()),
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
    use chrono::TimeDelta;
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
        for monday in ["0 9 * * 1", "0 9 * * MON", "0 9 * * mon", "0 9 * * Monday"] {
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

    fn slots_of(cron: &str, zone: &str, from: &str, most: usize) -> Vec<String> {
        let cron = Cron::parse(cron, zone).expect(cron);
        cron.upcoming(at(from), most).iter().map(|slot| slot.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn a_skipped_time_of_the_day_fires_once() {
        // In Berlin the clocks went from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC.
        let berlin = |cron| slots_of(cron, "Europe/Berlin", "2026-03-28T12:00:00Z", 3);
        assert_eq!(berlin("30 2 * * *"), ["29 01:30", "30 00:30", "31 00:30"]);
        assert_eq!(berlin("0 2,3 * * *"), ["29 01:00", "30 00:00", "30 01:00"], "both are at 03:00");
        // Lord Howe puts its clocks by half an hour, at 02:00 on 4 October 2026, at 15:30 UTC of the day before.
        assert_eq!(slots_of("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2), ["03 15:45", "04 15:15"]);
        // The Norwegian station has two hours of summer time: from 01:00 to 03:00 at 01:00 UTC.
        assert_eq!(slots_of("30 1 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z", 2), ["29 01:30", "29 23:30"]);
        // Samoa left 30 December 2011 out: its times fall together with those of the day after.
        assert_eq!(
            slots_of("0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
            ["29 19:00", "30 19:00", "31 19:00"]
        );
    }

    #[test]
    fn a_repeated_time_of_the_day_fires_once() {
        // In Berlin the clocks go from 03:00 back to 02:00 on 25 October 2026: 02:30 is at 00:30 and at 01:30 UTC.
        assert_eq!(slots_of("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), ["25 00:30", "26 01:30"]);
        let cron = Cron::parse("30 2 * * *", "Europe/Berlin").expect("a cron");
        assert_eq!(cron.after(at("2026-10-25T00:45:00Z")), Some(at("2026-10-26T01:30:00Z")));
        assert_eq!(cron.after(at("2026-10-25T01:15:00Z")), Some(at("2026-10-26T01:30:00Z")), "in the second hour");
        assert_eq!(cron.at_or_before(at("2026-10-25T01:15:00Z")), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(slots_of("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2), ["04 14:45", "05 15:15"]);
        assert_eq!(slots_of("30 2 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z", 2), ["25 00:30", "26 02:30"]);
    }

    #[test]
    fn every_so_often_follows_the_time_that_passes() {
        let quarters = slots_of("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 6);
        assert_eq!(quarters, ["25 00:45", "25 01:00", "25 01:15", "25 01:30", "25 01:45", "25 02:00"]);
        let hours = slots_of("0 * * * *", "Europe/Berlin", "2026-10-24T22:30:00Z", 5);
        assert_eq!(hours, ["24 23:00", "25 00:00", "25 01:00", "25 02:00", "25 03:00"]);
        assert_eq!(
            slots_of("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3),
            ["29 00:30", "29 01:00", "29 01:30"]
        );
        let often = Cron::parse("*/20 * * * *", "Europe/Berlin").expect("a cron");
        assert_eq!(often.at_or_before(at("2026-10-25T01:59:00Z")), Some(at("2026-10-25T01:40:00Z")));
        let half = slots_of("*/30 * * * *", "Australia/Lord_Howe", "2026-04-04T14:15:00Z", 4);
        assert_eq!(half, ["04 14:30", "04 15:00", "04 15:30", "04 16:00"]);
        assert_eq!(
            slots_of("0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z", 3),
            ["30 09:00", "30 10:00", "30 11:00"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        for bad in [
            "",
            "x",
            "* * * *",
            "0 0 9 * * 1",
            "0 0 9 * * 1 2026",
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
            cron in prop::sample::select(vec!["*/7 * * * *", "30 2 * * *", "0 */5 * * *", "*/15 1-3 * * *", "15 1,2,3 * * 0", "0 0 1 * 1"]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll"]),
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

        #[test]
        fn every_zone_has_one_slot_a_day(
            zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            day in 0_i64..25_000,
            (hour, minute) in (0..24_i64, 0..60_i64),
        ) {
            let cron = Cron::parse(&format!("{minute} {hour} * * *"), zone.name()).expect("a cron");
            let start = DateTime::from_timestamp(day * DAY, 0).expect("a time");
            let week = cron.upcoming(start, 7);
            prop_assert_eq!(week.len(), 7);
            for pair in week.windows(2) {
                // A zone that left a day out, or had one twice, and clocks that were put by hours.
                let hours = (pair[1] - pair[0]).num_hours();
                prop_assert!((18..=48).contains(&hours), "{:?} in {}", pair, zone);
            }
            let every = Cron::parse(&format!("{} * * * *", minute), zone.name()).expect("a cron");
            for pair in every.upcoming(start, 30).windows(2) {
                prop_assert!((pair[1] - pair[0]).num_minutes() <= 60 + 60 * 24, "{:?} in {}", pair, zone);
            }
        }
    }
}
