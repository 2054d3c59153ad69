//! The parts of a recurrence rule (RFC 5545, 3.3.10): read, checked, and matched with a time.

use chrono::{Datelike, NaiveDateTime, Timelike, Weekday};
use rrule::{RRule, Tz, Unvalidated};

use crate::limits::calendars::{MAX_RULE_NUMBERS, MAX_TIMES};

/// The way in which a rule is expanded.
#[derive(Clone, Debug)]
pub(super) enum Way {
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

/// The parts of a rule that are read here.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) months: Vec<i64>,
    pub(super) month_days: Vec<i64>,
    pub(super) year_days: Vec<i64>,
    pub(super) week_numbers: Vec<i64>,
    pub(super) days: Vec<(i64, Weekday)>,
    pub(super) hours: Vec<i64>,
    pub(super) minutes: Vec<i64>,
    pub(super) seconds: Vec<i64>,
    pub(super) positions: Vec<i64>,
}

impl Parts {
    /// Rejects combinations that RFC 5545, 3.3.10 forbids and frequencies that are not supported.
    pub(super) fn check(&self, frequency: &str) -> Result<(), String> {
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

    pub(super) fn way(
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
    pub(super) fn allow(&self, at: NaiveDateTime) -> bool {
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
pub(super) fn allows(list: &[i64], number: i64, total: i64) -> bool {
    list.is_empty()
        || list.iter().any(|entry| *entry == number || (*entry < 0 && total + 1 + entry == number))
}

fn short(day: Weekday) -> String {
    day.to_string()[..2].to_uppercase()
}

pub(super) fn weekday(text: &str) -> Option<Weekday> {
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
pub(super) fn days(text: &str) -> Option<Vec<(i64, Weekday)>> {
    let day = |text: &str| {
        let (number, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
        let number = match number {
            "" => 0,
            number => number.parse().ok().filter(|number: &i64| (1..=53).contains(&number.abs()))?,
        };
        Some((number, weekday(day)?))
    };
    let some = text.split(',').take(MAX_RULE_NUMBERS + 1);
    let days: Vec<_> = some.map(|text| day(text.trim())).collect::<Option<_>>()?;
    (days.len() <= MAX_RULE_NUMBERS).then_some(days)
}

/// Parses nonzero numbers within bounds.
pub(super) fn numbers(text: &str, low: i64, high: i64) -> Option<Vec<i64>> {
    let number =
        |text: &str| text.trim().parse().ok().filter(|number| (low..=high).contains(number) && *number != 0);
    listed(text, number)
}

/// Parses a list, sorted and without duplicates.
fn listed<T: Ord>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let some = text.split(',').take(MAX_RULE_NUMBERS + 1);
    let mut list: Vec<T> =
        some.map(read).collect::<Option<_>>().filter(|list: &Vec<T>| list.len() <= MAX_RULE_NUMBERS)?;
    list.sort_unstable();
    list.dedup();
    Some(list)
}

/// Parses hours, minutes or seconds from 0 to `last`.
pub(super) fn times(text: &str, last: i64) -> Option<Vec<i64>> {
    listed(text, |text| text.trim().parse().ok().filter(|number| (0..=last).contains(number)))
}
