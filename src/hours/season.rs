//! Weekly hours that hold from one date to another: a summer's, or those of a new timetable.

use chrono::{Datelike, NaiveDate};

use crate::model::Origin;

use super::Day;

/// Weekly hours of a stretch of dates. They stand in the place of the ordinary weekly hours, so a special date and a
/// closing calendar win over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Season {
    /// The first date; none when it never began.
    pub from: Option<NaiveDate>,
    /// The last date; none when it never ends.
    pub through: Option<NaiveDate>,
    /// Monday first; a day that is not named is as it is without the season.
    pub weekly: [Option<Day>; 7],
}

/// Two seasons that both have hours for a date, and neither lies within the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The first such date.
    pub date: NaiveDate,
    /// Where the hours of the one stand.
    pub one: Origin,
    /// Where those of the other stand.
    pub other: Origin,
}

impl Season {
    /// Its hours of a date: none when the date is outside, or its weekday is not named.
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
        // A week has every weekday.
        let dates = self.first().max(other.first()).iter_days().take(7).take_while(|date| *date <= last);
        dates.into_iter().find_map(|date| {
            let (one, other) = (self.day(date)?, other.day(date)?);
            Some(Clash { date, one: one.origin.clone(), other: other.origin.clone() })
        })
    }
}

/// Puts seasons in order: one that lies within another comes before it, so that the first that has a date decides.
///
/// # Errors
/// Two seasons have the same date, and neither lies within the other.
pub fn nested(seasons: Vec<Season>) -> Result<Vec<Season>, Box<Clash>> {
    for (index, season) in seasons.iter().enumerate() {
        if let Some(clash) = seasons[..index].iter().find_map(|other| season.clash(other)) {
            return Err(Box::new(clash));
        }
    }
    // What lies within another lies within all that the other lies within, so it lies within more of them.
    let depth = |season: &Season| seasons.iter().filter(|other| season.is_within(other)).count();
    let depths: Vec<usize> = seasons.iter().map(depth).collect();
    let mut ranked: Vec<(usize, Season)> = depths.into_iter().zip(seasons).collect();
    ranked.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    Ok(ranked.into_iter().map(|(_, season)| season).collect())
}

/// Makes ordinary weekly hours of the seasons without an end that had begun by a date: from that date on they are
/// nothing else, and what tells of an ordinary week then tells of them. Those that only closed, and
/// were over by then, are left out.
/// `seasons` are in the order of [`nested`].
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
