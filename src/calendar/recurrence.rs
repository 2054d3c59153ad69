//! Recurrence rules (RFC 5545, 3.3.10) on the wall clock, in a bounded number of steps.
//!
//! The rrule crate expands them. Cases that it silently gets wrong are corrected or expanded here,
//! and each has a test.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Weekday};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use crate::limits::calendars::{MAX_INTERVAL, MAX_RULE_STEPS, MAX_STARTS};
use crate::model::Problem;

use super::lines::Property;
use super::local_time::{AMBIGUOUS, parse_local};
use super::rule_parts::{Parts, Way, allows, days, numbers, times, weekday};

/// The hint for an ambiguous UNTIL.
const UNTIL_DATE: &str = "write the last date, as in UNTIL=20261224, or give the calendar its X-WR-TIMEZONE";
/// Periods that the crate tries for the next start before it gives up.
const CRATE_PATIENCE: i64 = 100_000;
/// The hint for a rule that is not supported.
const ANOTHER_RULE: &str =
    "write a rule such as FREQ=WEEKLY;BYDAY=MO or FREQ=YEARLY;UNTIL=20301231, or list the dates as RDATE";

/// The remaining steps for the rules of a calendar.
#[derive(Debug)]
pub struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_RULE_STEPS)
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
                "INTERVAL" => number(1, MAX_INTERVAL).map(|number| interval = number),
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
                    property.problem(format!("UNTIL={value}: {AMBIGUOUS}")).hint(UNTIL_DATE)
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
    /// February) has ended then. For an hourly rule, that many periods may end before `to`.
    fn give_up(
        &self,
        begin: NaiveDateTime,
        to: NaiveDateTime,
        starts: Vec<NaiveDateTime>,
        property: &Property,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let searched_from = starts.last().copied().unwrap_or(begin);
        let reach = match self.frequency.as_str() {
            "HOURLY" => TimeDelta::hours(99_000),
            _ => TimeDelta::days(99_000),
        };
        if searched_from.checked_add_signed(reach).is_none_or(|reached| reached >= to) {
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

fn too_many(property: &Property) -> Problem {
    property.problem(format!("gives more than {MAX_STARTS} occurrences")).hint(ANOTHER_RULE)
}

fn days_into_week(date: NaiveDate, week_start: Weekday) -> i64 {
    date.weekday().days_since(week_start).into()
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
