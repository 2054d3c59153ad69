//! The one interval that `opens_at` and `closes_at` show together.

use chrono::TimeDelta;

use crate::hours::{Hours, Period};
use crate::model::Instant;

use super::{ConsumerModel, Misread, Moment, TimeFormat};

/// The most steps back to the start of a run of open dates; each covers one date or more.
const DATES_BACK: usize = 400;

/// Returns the interval to show: the current one, else today's next, else today's last.
///
/// So `opens_at <= now < closes_at` is true exactly while it is open, even on a day with a lunch
/// break.
///
/// For an interval that spans several dates, a time of day can show only the near end, and an
/// instant shows the true ends. An interval that never ends is shown with its near end, which a
/// comparison of instants reads correctly.
pub(super) fn shown(moment: &Moment) -> Option<Period> {
    let hours = moment.hours;
    let mut period = of_the_day(hours, moment.at)?;
    if moment.with.format != TimeFormat::Rfc3339 {
        return Some(period);
    }
    if hours.is_open(period.to) {
        let Some(end) = hours.next_change(period.to) else { return Some(period) };
        period.to = end;
    }
    let earlier = |from: Instant| hours.current(from.checked_sub_signed(TimeDelta::seconds(1))?);
    for _ in 0..DATES_BACK {
        match earlier(period.from) {
            Some(earlier) => period.from = earlier.from,
            None => break,
        }
    }
    Some(period)
}

fn of_the_day(hours: &Hours, at: Instant) -> Option<Period> {
    let today = hours.on(hours.today(at));
    hours
        .current(at)
        .or_else(|| today.iter().find(|period| period.from > at).copied())
        .or_else(|| today.last().copied())
}

/// Returns the hint for times of day that would be misread.
pub(super) fn remedy(misread: &Misread) -> Option<&'static str> {
    Some(match misread.to_midnight {
        true => {
            "set format = \"hour\" or show is_open, because no consumer model for such times supports \
             24:00; or, if the agent reads it differently, set reader = \"none\""
        }
        false => {
            "show is_open, or show = \"numbered\", whose consumer model supports several intervals a \
             date and intervals past midnight"
        }
    })
}

/// The consumer model of both times: an agent compares them with the clock.
pub(super) const CONSUMER: ConsumerModel = ConsumerModel::OneInterval;
