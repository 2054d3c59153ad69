//! Recurrence rules (RFC 5545, 3.3.10) on the wall clock, in a bounded number of steps.
//!
//! The rrule crate expands them. Cases that it silently gets wrong are corrected or expanded here,
//! and each has a test.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Weekday};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use crate::model::Problem;

use super::lines::Property;
use super::local_time::{AMBIGUOUS, parse_local};

/// Maximum starts of one rule in one window; every half hour for three years is less.
const MAX_STARTS: usize = 60_000;
/// The hint for an ambiguous UNTIL.
const UNTIL_DATE: &str = "write the last date, as in UNTIL=20261224, or give the calendar its X-WR-TIMEZONE";
/// Maximum steps that all rules of a calendar may take together.
///
/// One step costs as much as trying one minute. A thousand rules that began in 1900 take a fifth.
const MAX_STEPS: u64 = 10_000_000;
/// Periods that the crate tries for the next start before it gives up.
const CRATE_PATIENCE: i64 = 100_000;
/// Maximum times of day in a rule, that is one every ten minutes.
const MAX_TIMES: usize = 144;
/// Maximum numbers in one list of a rule.
///
/// The days of a year, counted from both ends, are fewer.
const MAX_LISTED: usize = 1_000;

/// The hint for a rule that is not supported.
const ANOTHER_RULE: &str =
    "write a rule such as FREQ=WEEKLY;BYDAY=MO or FREQ=YEARLY;UNTIL=20301231, or list the dates as RDATE";

/// The remaining steps for the rules of a calendar.
#[derive(Debug)]
pub struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Budget {
    /// Subtracts steps from the budget.
    ///
    /// # Errors
    /// Fails when the budget is used up, naming the property that exceeded it.
    pub fn spend(&mut self, steps: u64, property: &Property) -> Result<(), Problem> {
        self.0 = self.0.checked_sub(steps).ok_or_else(|| {
            property
                .problem("the rules of this calendar take too many steps to evaluate")
                .hint("add an UNTIL to rules without upcoming occurrences, or export fewer events")
        })?;
        Ok(())
    }
}

/// A rule whose COUNT and UNTIL are applied here instead of by the crate.
///
/// The crate refuses a local UNTIL, and cannot distinguish a rule that ended from one it gave up
/// on.
#[derive(Clone, Debug)]
pub struct Rule {
    frequency: String,
    interval: i64,
    count: Option<usize>,
    /// The last wall-clock time that counts.
    until: Option<NaiveDateTime>,
    week_start: Weekday,
    sets_position: bool,
    way: Way,
}

/// The way in which a rule is expanded.
#[derive(Clone, Debug)]
enum Way {
    /// Expanded by the crate.
    ///
    /// A list of days with and without numbers is a union, which needs a rule for each kind.
    Crate(Vec<RRule<Unvalidated>>),
    /// Expanded minute by minute: the crate loses starts when minutes are combined with other
    /// limits.
    Minutes(Parts),
    /// Expanded by week numbers: the crate loses weeks that extend into the next year.
    Weeks(Parts),
}

/// The parts of a rule that this module reads itself.
#[derive(Clone, Debug, Default)]
struct Parts {
    months: Vec<i64>,
    month_days: Vec<i64>,
    year_days: Vec<i64>,
    week_numbers: Vec<i64>,
    days: Vec<(i64, Weekday)>,
    hours: Vec<i64>,
    minutes: Vec<i64>,
    seconds: Vec<i64>,
    positions: Vec<i64>,
}

impl Rule {
    /// Parses an RRULE.
    ///
    /// `to_wall` converts an UNTIL in UTC to the event's wall-clock time; it returns none for an
    /// ambiguous one.
    pub fn parse(
        property: &Property,
        start: NaiveDateTime,
        to_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
    ) -> Result<Self, Problem> {
        let text: String = property.value.split_whitespace().collect::<String>().to_ascii_uppercase();
        let shown: String = text.chars().take(100).collect();
        let bad = |why: &str| property.problem(format!("\"{shown}\" {why}")).hint(ANOTHER_RULE);
        let mut seen = BTreeSet::new();
        let mut parts = Parts::default();
        let (mut frequency, mut interval, mut count, mut until) = (String::new(), 1, None, None);
        let mut week_start = Weekday::Mon;
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| bad("is not a valid rule"))?;
            if !seen.insert(key) {
                return Err(bad(&format!("has {key} twice")));
            }
            let number =
                |low: i64, high: i64| value.parse().ok().filter(|number| (low..=high).contains(number));
            let list = |low: i64, high: i64| numbers(value, low, high);
            let read = match key {
                "FREQ" => {
                    value.clone_into(&mut frequency);
                    Some(())
                }
                "INTERVAL" => number(1, 65_535).map(|number| interval = number),
                "COUNT" => number(1, MAX_STARTS as i64).map(|number| count = usize::try_from(number).ok()),
                "UNTIL" => parse_until(value, &to_wall).map(|time| until = Some(time)),
                "WKST" => weekday(value).map(|day| week_start = day),
                "BYDAY" => days(value).map(|days| parts.days = days),
                "BYMONTH" => list(1, 12).map(|list| parts.months = list),
                "BYMONTHDAY" => list(-31, 31).map(|list| parts.month_days = list),
                "BYYEARDAY" => list(-366, 366).map(|list| parts.year_days = list),
                "BYWEEKNO" => list(-53, 53).map(|list| parts.week_numbers = list),
                "BYSETPOS" => list(-366, 366).map(|list| parts.positions = list),
                "BYHOUR" => times(value, 23).map(|list| parts.hours = list),
                "BYMINUTE" => times(value, 59).map(|list| parts.minutes = list),
                "BYSECOND" => times(value, 59).map(|list| parts.seconds = list),
                _ => return Err(bad(&format!("has {key}, which is not supported"))),
            };
            read.ok_or_else(|| match key {
                "UNTIL" if value.strip_suffix('Z').and_then(parse_local).is_some() => {
                    property.problem(format!("UNTIL={value} {AMBIGUOUS}")).hint(UNTIL_DATE)
                }
                _ => bad(&format!("has a {key} that is out of range or invalid")),
            })?;
        }
        if count.is_some() && until.is_some() {
            return Err(bad("has both COUNT and UNTIL"));
        }
        parts.check(&frequency).map_err(|why| bad(&why))?;
        let way = parts.way(&frequency, interval, week_start, start).map_err(|why| bad(&why))?;
        Ok(Self {
            frequency,
            interval,
            count,
            until,
            week_start,
            sets_position: !parts.positions.is_empty(),
            way,
        })
    }

    /// Returns the starts in `[from, to)`, in wall-clock time.
    pub fn starts(
        &self,
        start: NaiveDateTime,
        from: NaiveDateTime,
        to: NaiveDateTime,
        property: &Property,
        budget: &mut Budget,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let begin = self.fast_forward(start, from);
        // A COUNT counts from the first start of the rule, whatever the window.
        let counted_from = if self.count.is_some() { start } else { from };
        let mut starts = match &self.way {
            Way::Crate(rules) => {
                let mut all = BTreeSet::new();
                for rule in rules {
                    all.extend(self.by_crate(rule, begin, counted_from.max(start), to, property, budget)?);
                }
                all.into_iter().collect()
            }
            Way::Minutes(parts) => self.by_minutes(parts, begin, counted_from, to, property, budget)?,
            Way::Weeks(parts) => {
                let years = u64::try_from(to.year() - start.year()).unwrap_or(0) + 1;
                budget.spend(years * 10 * (1 + parts.week_numbers.len() as u64), property)?;
                self.by_weeks(parts, start, to)
            }
        };
        starts.retain(|next| *next >= start);
        starts.truncate(self.count.unwrap_or(usize::MAX));
        starts.retain(|next| *next >= from && self.until.is_none_or(|until| *next <= until));
        Ok(starts)
    }

    fn by_crate(
        &self,
        rule: &RRule<Unvalidated>,
        begin: NaiveDateTime,
        from: NaiveDateTime,
        to: NaiveDateTime,
        property: &Property,
        budget: &mut Budget,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        // The crate would count positions in the first week from the start, not from the week's
        // first day.
        let begin = match self.sets_position && self.frequency == "WEEKLY" {
            true => begin - TimeDelta::days(days_into_week(begin.date(), self.week_start)),
            false => begin,
        };
        let utc_begin = begin.and_utc().with_timezone(&Tz::UTC);
        let rule =
            rule.clone().validate(utc_begin).map_err(|error| property.problem(error).hint(ANOTHER_RULE))?;
        let mut starts = Vec::new();
        let end = self.until.map_or(to, |until| to.min(until + TimeDelta::seconds(1)));
        let mut taken = 0;
        let mut reached = begin;
        let mut iterator = RRuleSet::new(utc_begin).rrule(rule).limit().into_iter();
        loop {
            let Some(next) = iterator.next() else {
                budget.spend(self.cost(reached, NaiveDateTime::MAX), property)?;
                // COUNT and UNTIL are applied here, so the iterator ends only at the end of the
                // calendar or when the crate gives up.
                return self.give_up(begin, end, starts, property);
            };
            let next = next.naive_utc();
            budget.spend(self.cost(reached, next), property)?;
            reached = next;
            if next >= end || self.count.is_some_and(|count| starts.len() >= count) {
                return Ok(starts);
            }
            taken += 1;
            if taken > MAX_STARTS {
                return Err(too_many(property));
            }
            if next >= from {
                starts.push(next);
            }
        }
    }

    /// Returns the steps that the crate spent between two starts, or until it gave up.
    ///
    /// The crate tries period by period. Yearly and monthly periods are expensive because it builds
    /// tables of their days.
    fn cost(&self, from: NaiveDateTime, to: NaiveDateTime) -> u64 {
        const ONE_START: u64 = 20;
        let (seconds, dear) = match self.frequency.as_str() {
            "YEARLY" => (365 * 86_400, 500),
            "MONTHLY" => (28 * 86_400, 100),
            "WEEKLY" => (7 * 86_400, 10),
            "DAILY" => (86_400, 5),
            _ => (3_600, 5),
        };
        let last_year = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX).into();
        let periods = (to.min(last_year) - from).num_seconds() / (seconds * self.interval);
        ONE_START + dear * u64::try_from(periods.clamp(0, CRATE_PATIENCE)).unwrap_or(0)
    }

    /// Returns the starts found when the iterator ended, or an error if it may have missed some.
    ///
    /// The iterator tries 100,000 periods for the next start. A yearly rule that never matches (30
    /// February) has truly ended then. An hourly rule may only have been searched too short a time
    /// ahead.
    fn give_up(
        &self,
        begin: NaiveDateTime,
        to: NaiveDateTime,
        starts: Vec<NaiveDateTime>,
        property: &Property,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let looked_from = starts.last().copied().unwrap_or(begin);
        let reach = match self.frequency.as_str() {
            "HOURLY" => TimeDelta::hours(99_000),
            _ => TimeDelta::days(99_000),
        };
        if looked_from.checked_add_signed(reach).is_none_or(|reached| reached >= to) {
            return Ok(starts);
        }
        Err(property.problem("takes too many steps to reach its next occurrence").hint(ANOTHER_RULE))
    }

    fn by_minutes(
        &self,
        parts: &Parts,
        begin: NaiveDateTime,
        from: NaiveDateTime,
        to: NaiveDateTime,
        property: &Property,
        budget: &mut Budget,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let mut starts = Vec::new();
        let mut next = begin;
        loop {
            budget.spend(1, property)?;
            if next >= to || self.count.is_some_and(|count| starts.len() >= count) {
                return Ok(starts);
            }
            if next >= from && parts.allow(next) {
                starts.push(next);
                if starts.len() > MAX_STARTS {
                    return Err(too_many(property));
                }
            }
            next = match next.checked_add_signed(TimeDelta::minutes(self.interval)) {
                Some(later) => later,
                None => return Ok(starts),
            };
        }
    }

    /// Returns the days of the numbered weeks, which may lie in the neighbouring year.
    ///
    /// Week 1 is the first with four days in the year (ISO 8601, for any first day of the week).
    fn by_weeks(&self, parts: &Parts, start: NaiveDateTime, to: NaiveDateTime) -> Vec<NaiveDateTime> {
        let first_week = |year: i32| {
            let fourth = NaiveDate::from_ymd_opt(year, 1, 4)?;
            fourth.checked_sub_days(Days::new(days_into_week(fourth, self.week_start).unsigned_abs()))
        };
        let mut starts = BTreeSet::new();
        // The week of DTSTART may be numbered in the year before or after.
        let interval = i32::try_from(self.interval).unwrap_or(1);
        let mut year = start.year();
        while year <= to.year() + 1 {
            if let (Some(first), Some(next)) = (first_week(year), first_week(year + 1)) {
                let weeks = (next - first).num_weeks();
                for number in &parts.week_numbers {
                    let number = if *number < 0 { weeks + 1 + number } else { *number };
                    if !(1..=weeks).contains(&number) {
                        continue;
                    }
                    let days = (0..7)
                        .filter_map(|day| first.checked_add_signed(TimeDelta::days((number - 1) * 7 + day)));
                    let days = days.filter(|date| parts.days.iter().any(|(_, day)| *day == date.weekday()));
                    let days = days.filter(|date| allows(&parts.months, date.month().into(), 0));
                    starts.extend(days.map(|date| date.and_time(start.time())));
                }
            }
            year = year.saturating_add(interval);
        }
        starts.retain(|next| *next < to);
        starts.into_iter().collect()
    }

    /// Returns a later start with the same rhythm, so that an old daily rule is not walked from its
    /// first day.
    ///
    /// Two periods before the window remain, because a start cuts off the first part of its week.
    fn fast_forward(&self, start: NaiveDateTime, from: NaiveDateTime) -> NaiveDateTime {
        let period = match self.frequency.as_str() {
            "MINUTELY" => TimeDelta::minutes(self.interval),
            "HOURLY" => TimeDelta::hours(self.interval),
            "DAILY" => TimeDelta::days(self.interval),
            "WEEKLY" => TimeDelta::weeks(self.interval),
            "MONTHLY" => return self.forward_by_months(start, from, self.interval),
            "YEARLY" => return self.forward_by_months(start, from, 12 * self.interval),
            _ => return start,
        };
        let periods = (from - start).num_seconds() / period.num_seconds() - 2;
        if self.count.is_some() || periods <= 0 {
            return start;
        }
        i32::try_from(periods)
            .ok()
            .and_then(|periods| period.checked_mul(periods))
            .and_then(|ahead| start.checked_add_signed(ahead))
            .unwrap_or(start)
    }
}

impl Rule {
    /// Returns a later start for monthly and yearly rules, in a month that has the start's day.
    ///
    /// Parts that the rule omits are taken from that start.
    fn forward_by_months(&self, start: NaiveDateTime, from: NaiveDateTime, months: i64) -> NaiveDateTime {
        let between =
            i64::from(from.year() - start.year()) * 12 + i64::from(from.month()) - i64::from(start.month());
        let periods = between / months - 2;
        if self.count.is_some() || periods <= 0 {
            return start;
        }
        // 29 February recurs within eight years, and any interval meets it within eight times that.
        (0..64)
            .map_while(|back| u32::try_from((periods - back).max(0) * months).ok())
            .filter_map(|ahead| start.checked_add_months(Months::new(ahead)))
            .find(|moved| moved.day() == start.day())
            .unwrap_or(start)
    }
}

impl Parts {
    /// Rejects combinations that RFC 5545, 3.3.10 forbids and frequencies that are not supported.
    fn check(&self, frequency: &str) -> Result<(), String> {
        let numbered = self.days.iter().any(|(number, _)| *number != 0);
        let is = |names: &[&str]| names.contains(&frequency);
        if !is(&["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]) {
            return Err(format!("repeats {frequency}, which is not supported"));
        }
        if numbered && (!is(&["YEARLY", "MONTHLY"]) || !self.week_numbers.is_empty()) {
            return Err(
                "has a numbered BYDAY, which only MONTHLY and YEARLY rules without BYWEEKNO may have"
                    .to_owned(),
            );
        }
        if !self.week_numbers.is_empty() && !is(&["YEARLY"]) {
            return Err("has BYWEEKNO, which only a YEARLY rule may have".to_owned());
        }
        if !self.year_days.is_empty() && is(&["DAILY", "WEEKLY", "MONTHLY"]) {
            return Err(format!("has BYYEARDAY, which a {frequency} rule may not have"));
        }
        if !self.month_days.is_empty() && is(&["WEEKLY"]) {
            return Err("has BYMONTHDAY, which a WEEKLY rule may not have".to_owned());
        }
        Ok(())
    }

    fn way(
        &self,
        frequency: &str,
        interval: i64,
        week_start: Weekday,
        start: NaiveDateTime,
    ) -> Result<Way, String> {
        let sets_position = !self.positions.is_empty();
        if self.times_of_day(frequency) > MAX_TIMES {
            return Err(format!("lists more than {MAX_TIMES} times a day, which is not supported"));
        }
        if frequency == "MINUTELY" {
            return match sets_position || !self.seconds.is_empty() {
                true => Err("has BYSETPOS or BYSECOND in a MINUTELY rule, which is not supported".to_owned()),
                false => Ok(Way::Minutes(self.clone())),
            };
        }
        let mut parts = self.clone();
        if !self.week_numbers.is_empty() {
            let others = [
                &self.month_days,
                &self.year_days,
                &self.positions,
                &self.hours,
                &self.minutes,
                &self.seconds,
            ];
            if others.iter().any(|list| !list.is_empty()) {
                return Err(
                    "combines BYWEEKNO with more than BYDAY and BYMONTH, which is not supported".to_owned()
                );
            }
            // Parts that the rule omits are taken from DTSTART.
            if parts.days.is_empty() {
                parts.days.push((0, start.weekday()));
            }
            return Ok(Way::Weeks(parts));
        }
        if sets_position && frequency == "WEEKLY" && parts.days.is_empty() {
            parts.days.push((0, start.weekday()));
        }
        let (numbered, plain): (Vec<_>, Vec<_>) =
            parts.days.iter().copied().partition(|(number, _)| *number != 0);
        if !numbered.is_empty() && !plain.is_empty() {
            if sets_position {
                return Err(
                    "has BYSETPOS over days with and without numbers, which is not supported".to_owned()
                );
            }
            let rule = |days| Parts { days, ..parts.clone() }.rule(frequency, interval, week_start, start);
            return Ok(Way::Crate(vec![rule(numbered)?, rule(plain)?]));
        }
        Ok(Way::Crate(vec![parts.rule(frequency, interval, week_start, start)?]))
    }

    /// Returns the number of times per day that the lists of a rule produce.
    ///
    /// The crate generates all of them before it returns the first.
    fn times_of_day(&self, frequency: &str) -> usize {
        let hours = match frequency {
            "MINUTELY" => return 1,
            "HOURLY" => 24,
            _ => self.hours.len().max(1),
        };
        hours * self.minutes.len().max(1) * self.seconds.len().max(1)
    }

    /// Builds the rule for the crate, without COUNT and UNTIL.
    fn rule(
        &self,
        frequency: &str,
        interval: i64,
        week_start: Weekday,
        start: NaiveDateTime,
    ) -> Result<RRule<Unvalidated>, String> {
        let mut text = format!("FREQ={frequency};INTERVAL={interval};WKST={}", short(week_start));
        let lists = [
            ("BYMONTH", &self.months),
            ("BYMONTHDAY", &self.month_days),
            ("BYYEARDAY", &self.year_days),
            ("BYHOUR", &self.hours),
            ("BYMINUTE", &self.minutes),
            ("BYSECOND", &self.seconds),
            ("BYSETPOS", &self.positions),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let numbers: Vec<String> = list.iter().map(ToString::to_string).collect();
            text.push_str(&format!(";{key}={}", numbers.join(",")));
        }
        if !self.days.is_empty() {
            let day = |(number, day): &(i64, Weekday)| match number {
                0 => short(*day),
                number => format!("{number}{}", short(*day)),
            };
            let days: Vec<String> = self.days.iter().map(day).collect();
            text.push_str(&format!(";BYDAY={}", days.join(",")));
        }
        let rule: RRule<Unvalidated> = text.parse().map_err(|error| format!("is invalid: {error}"))?;
        let begin = start.and_utc().with_timezone(&Tz::UTC);
        rule.clone().validate(begin).map_err(|error| format!("is invalid: {error}"))?;
        Ok(rule)
    }

    /// Returns true if a minute satisfies all limits.
    fn allow(&self, at: NaiveDateTime) -> bool {
        let date = at.date();
        let days_of_year = if date.leap_year() { 366 } else { 365 };
        let days_of_month = i64::from(date.num_days_in_month());
        allows(&self.months, at.month().into(), 0)
            && allows(&self.month_days, at.day().into(), days_of_month)
            && allows(&self.year_days, at.ordinal().into(), days_of_year)
            && (self.days.is_empty() || self.days.iter().any(|(_, day)| *day == at.weekday()))
            && allows(&self.hours, at.hour().into(), 0)
            && allows(&self.minutes, at.minute().into(), 0)
    }
}

/// Returns true if a list is empty or contains a number.
///
/// Negative entries count from the end of `total`.
fn allows(list: &[i64], number: i64, total: i64) -> bool {
    list.is_empty()
        || list.iter().any(|wanted| *wanted == number || (*wanted < 0 && total + 1 + wanted == number))
}

fn too_many(property: &Property) -> Problem {
    property.problem(format!("gives more than {MAX_STARTS} occurrences")).hint(ANOTHER_RULE)
}

fn days_into_week(date: NaiveDate, week_start: Weekday) -> i64 {
    date.weekday().days_since(week_start).into()
}

fn short(day: Weekday) -> String {
    day.to_string()[..2].to_uppercase()
}

fn weekday(text: &str) -> Option<Weekday> {
    let mut day = Weekday::Mon;
    for _ in 0..7 {
        if short(day) == text {
            return Some(day);
        }
        day = day.succ();
    }
    None
}

/// Parses days such as `1MO,-1SU,FR` into a number (0 if omitted) and a weekday each.
fn days(text: &str) -> Option<Vec<(i64, Weekday)>> {
    let day = |text: &str| {
        let (number, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
        let number = match number {
            "" => 0,
            number => number.parse().ok().filter(|number: &i64| (1..=53).contains(&number.abs()))?,
        };
        Some((number, weekday(day)?))
    };
    let some = text.split(',').take(MAX_LISTED + 1);
    let days: Vec<_> = some.map(|text| day(text.trim())).collect::<Option<_>>()?;
    (days.len() <= MAX_LISTED).then_some(days)
}

/// Parses nonzero numbers within bounds.
fn numbers(text: &str, low: i64, high: i64) -> Option<Vec<i64>> {
    let number =
        |text: &str| text.trim().parse().ok().filter(|number| (low..=high).contains(number) && *number != 0);
    listed(text, number)
}

/// Parses a list, sorted and without duplicates.
fn listed<T: Ord>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let some = text.split(',').take(MAX_LISTED + 1);
    let mut list: Vec<T> =
        some.map(read).collect::<Option<_>>().filter(|list: &Vec<T>| list.len() <= MAX_LISTED)?;
    list.sort_unstable();
    list.dedup();
    Some(list)
}

/// Parses hours, minutes or seconds from 0 to `last`.
fn times(text: &str, last: i64) -> Option<Vec<i64>> {
    listed(text, |text| text.trim().parse().ok().filter(|number| (0..=last).contains(number)))
}

/// Parses an UNTIL, which is inclusive; a date means its last second.
fn parse_until(
    value: &str,
    to_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<NaiveDateTime> {
    if let Some(utc) = value.strip_suffix('Z') {
        return parse_local(utc).and_then(to_wall);
    }
    parse_local(value).or_else(|| {
        let date = NaiveDate::parse_from_str(value, "%Y%m%d").ok()?;
        date.and_hms_opt(23, 59, 59)
    })
}
