//! The one interval that `opens_at` and `closes_at` show together.

use chrono::TimeDelta;

use crate::hours::{Hours, Stretch};
use crate::model::Instant;

use super::{ConsumerModel, Misread, Moment, TimeFormat};

/// Steps back to where a run of open dates began; each takes in a date at least.
const DATES_BACK: usize = 400;

/// Returns the interval to show: the running one, else the next that starts today, else the last that did. So
/// `opens_at <= now < closes_at` is true exactly while it is open, on a day with a lunch break too.
///
/// Of an interval that goes on over several dates a time of day can show only the near end; an instant shows its true
/// ends. One that never ends is shown like the former, which a comparison of instants reads right.
pub(super) fn shown(moment: &Moment) -> Option<Stretch> {
    let hours = moment.hours;
    let mut stretch = of_the_day(hours, moment.at)?;
    if moment.with.format != TimeFormat::Rfc3339 {
        return Some(stretch);
    }
    if hours.is_open(stretch.to) {
        let Some(end) = hours.next_change(stretch.to) else { return Some(stretch) };
        stretch.to = end;
    }
    let earlier = |from: Instant| hours.current(from.checked_sub_signed(TimeDelta::seconds(1))?);
    for _ in 0..DATES_BACK {
        match earlier(stretch.from) {
            Some(earlier) => stretch.from = earlier.from,
            None => break,
        }
    }
    Some(stretch)
}

fn of_the_day(hours: &Hours, at: Instant) -> Option<Stretch> {
    let today = hours.on(hours.today(at));
    hours
        .current(at)
        .or_else(|| today.iter().find(|stretch| stretch.from > at).copied())
        .or_else(|| today.last().copied())
}

/// Suggests what to do about times of day that would be misread.
pub(super) fn remedy(misread: &Misread) -> Option<&'static str> {
    Some(match misread.to_midnight {
        true => {
            "no reader of such times knows 24:00: set format = \"hour\", or show is_open; or, if the agent reads it otherwise, say so with reader = \"none\""
        }
        false => "show is_open, or show = \"numbered\", whose reader knows several intervals and nights",
    })
}

/// The consumer of both times: it compares them with the clock.
pub(super) const CONSUMER: ConsumerModel = ConsumerModel::OneInterval;
