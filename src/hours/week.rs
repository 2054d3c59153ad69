//! The hours of the seven weekdays.

use super::Day;

/// Hours by weekday, Monday first; a day without hours is closed.
///
/// A chain has a week for each site, and its days are mostly alike: days with the same hours from
/// the same place are kept once.
#[derive(Clone, Debug, Default)]
pub struct Week {
    days: Box<[Day]>,
    by_weekday: [Option<u8>; 7],
}

impl Week {
    /// Returns the hours of a weekday, counted from Monday.
    pub fn day(&self, weekday: usize) -> Option<&Day> {
        self.days.get(usize::from((*self.by_weekday.get(weekday)?)?))
    }

    /// Returns the hours of all weekdays.
    pub fn iter(&self) -> impl Iterator<Item = Option<&Day>> {
        (0..self.by_weekday.len()).map(|weekday| self.day(weekday))
    }
}

impl From<[Option<Day>; 7]> for Week {
    fn from(week: [Option<Day>; 7]) -> Self {
        let mut days: Vec<Day> = Vec::new();
        let by_weekday = week.map(|day| {
            let day = day?;
            let number = days.iter().position(|known| *known == day).unwrap_or_else(|| {
                days.push(day);
                days.len() - 1
            });
            u8::try_from(number).ok()
        });
        Self { days: days.into(), by_weekday }
    }
}
