//! Recurrence rules (RFC 5545, 3.3.10) on the wall clock: the rrule crate expands, in a bounded number of steps.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use crate::model::Problem;

use super::event::parse_local;
use super::lines::Property;

/// Starts that one rule may give in one window; every half hour for three years is less.
const MAX_STARTS: usize = 60_000;

/// A rule, its limits taken out so that they are kept here: the crate refuses a local UNTIL, and can't
/// tell a rule that ended from one it gave up on.
#[derive(Clone, Debug)]
pub struct Rule {
    rule: RRule<Unvalidated>,
    frequency: String,
    interval: i64,
    count: Option<usize>,
    /// The last wall clock time that counts.
    until: Option<NaiveDateTime>,
}

impl Rule {
    /// Reads an RRULE. `to_wall` turns an UNTIL in UTC into the event's wall clock time.
    pub fn parse(
        property: &Property,
        start: NaiveDateTime,
        to_wall: impl Fn(NaiveDateTime) -> NaiveDateTime,
    ) -> Result<Self, Problem> {
        let text = property.value.trim().to_ascii_uppercase();
        let bad = |why: &str| property.problem(format!("\"{text}\" {why}"));
        let (mut frequency, mut interval, mut count, mut until) = (String::new(), 1, None, None);
        let mut kept = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| bad("is no rule"))?;
            match key {
                "COUNT" => {
                    let number = value.parse().ok().filter(|count| (1..=MAX_STARTS).contains(count));
                    count = Some(number.ok_or_else(|| bad("has a COUNT that is out of range"))?);
                    continue;
                }
                "UNTIL" => {
                    until = Some(parse_until(value, &to_wall).ok_or_else(|| bad("has no valid UNTIL"))?);
                    continue;
                }
                "INTERVAL" => {
                    let number = value.parse().ok().filter(|interval| (1..=10_000).contains(interval));
                    interval = number.ok_or_else(|| bad("has an INTERVAL that is out of range"))?;
                }
                "FREQ" => value.clone_into(&mut frequency),
                "BYSECOND" | "BYMINUTE" | "BYHOUR" | "BYDAY" | "BYMONTHDAY" | "BYYEARDAY" | "BYWEEKNO"
                | "BYMONTH" | "BYSETPOS" | "WKST" => {}
                _ => return Err(bad(&format!("has {key}, which is not supported"))),
            }
            kept.push(part);
        }
        if frequency == "SECONDLY" {
            return Err(bad("repeats every second, which is not supported"));
        }
        if count.is_some() && until.is_some() {
            return Err(bad("has both COUNT and UNTIL"));
        }
        let rule: RRule<Unvalidated> =
            kept.join(";").parse().map_err(|error| bad(&format!("is not understood: {error}")))?;
        rule.clone()
            .validate(start.and_utc().with_timezone(&Tz::UTC))
            .map_err(|error| bad(&format!("is not understood: {error}")))?;
        Ok(Self { rule, frequency, interval, count, until })
    }

    /// The starts from `from` up to, not including, `to`, in wall clock time.
    pub fn starts(
        &self,
        start: NaiveDateTime,
        from: NaiveDateTime,
        to: NaiveDateTime,
        property: &Property,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let begin = self.fast_forward(start, from);
        let utc_begin = begin.and_utc().with_timezone(&Tz::UTC);
        let rule = self.rule.clone().validate(utc_begin).map_err(|error| property.problem(error))?;
        let mut starts = Vec::new();
        let mut iterator = RRuleSet::new(utc_begin).rrule(rule).limit().into_iter();
        let mut taken = 0;
        loop {
            if self.count == Some(taken) {
                return Ok(starts);
            }
            let Some(next) = iterator.next() else {
                // Limits are kept here, so the iterator itself ends only where the calendar or its patience does.
                return self.give_up(begin, to, &starts, property);
            };
            let next = next.naive_utc();
            if next >= to || self.until.is_some_and(|until| next > until) {
                return Ok(starts);
            }
            taken += 1;
            if next >= from {
                starts.push(next);
            }
            if taken > MAX_STARTS {
                return Err(property.problem(format!("gives more than {MAX_STARTS} occurrences")));
            }
        }
    }

    /// The iterator tries 100,000 steps for the next start. A yearly rule that never matches (30 February)
    /// is done then; one of minutes may only have looked too short a time ahead.
    fn give_up(
        &self,
        begin: NaiveDateTime,
        to: NaiveDateTime,
        starts: &[NaiveDateTime],
        property: &Property,
    ) -> Result<Vec<NaiveDateTime>, Problem> {
        let looked_from = starts.last().copied().unwrap_or(begin);
        let reach = match self.frequency.as_str() {
            "MINUTELY" => TimeDelta::minutes(99_000),
            "HOURLY" => TimeDelta::hours(99_000),
            _ => TimeDelta::days(99_000),
        };
        if looked_from.checked_add_signed(reach).is_none_or(|reached| reached >= to) {
            return Ok(starts.to_vec());
        }
        Err(property.problem("takes too many steps to its next occurrence"))
    }

    /// A later start with the same rhythm, so that an old daily rule isn't walked from its first day.
    /// One period before the window stays in, because a start cuts off the first part of its week.
    fn fast_forward(&self, start: NaiveDateTime, from: NaiveDateTime) -> NaiveDateTime {
        let period = match self.frequency.as_str() {
            "MINUTELY" => TimeDelta::minutes(self.interval),
            "HOURLY" => TimeDelta::hours(self.interval),
            "DAILY" => TimeDelta::days(self.interval),
            "WEEKLY" => TimeDelta::weeks(self.interval),
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

/// UNTIL is inclusive; a date stands for its last second.
fn parse_until(value: &str, to_wall: impl Fn(NaiveDateTime) -> NaiveDateTime) -> Option<NaiveDateTime> {
    if let Some(utc) = value.strip_suffix('Z') {
        return parse_local(utc).map(to_wall);
    }
    parse_local(value).or_else(|| {
        let date = NaiveDate::parse_from_str(value, "%Y%m%d").ok()?;
        date.and_hms_opt(23, 59, 59)
    })
}
