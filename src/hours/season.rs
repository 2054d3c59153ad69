//! Weekly hours for a range of dates, such as a summer or a new timetable.

use chrono::{Datelike, NaiveDate};

use crate::model::Origin;

use super::Day;

/// Weekly hours for a range of dates.
///
/// They replace the ordinary weekly hours, so special dates and closing calendars take precedence
/// over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Season {
    /// The first date; none if it has no beginning.
    pub from: Option<NaiveDate>,
    /// The last date; none if it has no end.
    pub through: Option<NaiveDate>,
    /// Hours by weekday, Monday first; a day without an entry has the hours outside the season.
    pub weekly: [Option<Day>; 7],
}

/// Two seasons that both have hours for a date, without one containing the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The first date on which they conflict.
    pub date: NaiveDate,
    /// The place where the hours of one season are written.
    pub one: Origin,
    /// The place where the hours of the other season are written.
    pub other: Origin,
}

impl Season {
    /// Returns the hours of a date.
    ///
    /// Returns none if the date is outside the season or its weekday has no entry.
    pub fn day(&self, date: NaiveDate) -> Option<&Day> {
        let contains = self.first() <= date && date <= self.last();
        self.weekly[date.weekday().num_days_from_monday() as usize].as_ref().filter(|_| contains)
    }

    fn first(&self) -> NaiveDate {
        self.from.unwrap_or(NaiveDate::MIN)
    }

    fn last(&self) -> NaiveDate {
        self.through.unwrap_or(NaiveDate::MAX)
    }

    fn is_within(&self, other: &Self) -> bool {
        other.first() <= self.first() && self.last() <= other.last()
    }

    fn clash(&self, other: &Self) -> Option<Clash> {
        if self.is_within(other) || other.is_within(self) {
            return None;
        }
        let last = self.last().min(other.last());
        // Seven dates cover every weekday.
        let dates = self.first().max(other.first()).iter_days().take(7).take_while(|date| *date <= last);
        dates.into_iter().find_map(|date| {
            let (one, other) = (self.day(date)?, other.day(date)?);
            Some(Clash { date, one: one.origin.clone(), other: other.origin.clone() })
        })
    }
}

/// Sorts seasons so that a season comes before any season that contains it.
///
/// The first season with hours for a date then decides.
///
/// # Errors
/// Fails if two seasons have hours for the same date and neither contains the other.
pub fn nested(seasons: Vec<Season>) -> Result<Vec<Season>, Box<Clash>> {
    for (index, season) in seasons.iter().enumerate() {
        if let Some(clash) = seasons[..index].iter().find_map(|other| season.clash(other)) {
            return Err(Box::new(clash));
        }
    }
    // The depth of a season is the number of seasons that contain it. An inner season also lies in
    // all seasons around its outer one, so it is deeper.
    let depth = |season: &Season| seasons.iter().filter(|other| season.is_within(other)).count();
    let depths: Vec<usize> = seasons.iter().map(depth).collect();
    let mut ranked: Vec<(usize, Season)> = depths.into_iter().zip(seasons).collect();
    ranked.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    Ok(ranked.into_iter().map(|(_, season)| season).collect())
}

/// Moves open-ended seasons that had begun by a date into the ordinary weekly hours.
///
/// From that date on they are ordinary hours, and are described as such. Seasons that have ended
/// and only close are dropped. `seasons` must be in the order of [`nested`].
pub fn settle(weekly: &mut [Option<Day>; 7], seasons: &mut Vec<Season>, by: NaiveDate) {
    let has_begun = |season: &Season| season.through.is_none() && season.first() <= by;
    for season in seasons.iter().rev().filter(|season| has_begun(season)) {
        for (ordinary, seasonal) in weekly.iter_mut().zip(&season.weekly) {
            if seasonal.is_some() {
                ordinary.clone_from(seasonal);
            }
        }
    }
    let is_open = |season: &Season| season.weekly.iter().flatten().any(|day| !day.intervals.is_empty());
    seasons.retain(|season| !has_begun(season) && (by <= season.last() || is_open(season)));
}
