//! The last events of calendars, searched again only in a calendar that changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::Calendar;
use crate::compile::{Blueprint, Inputs};
use crate::lint::last_event;
use crate::model::Instant;
use crate::reconcile::DaysLeft;

/// The last events of calendar files, by name.
#[derive(Default)]
pub(super) struct CalendarEnds(BTreeMap<String, Known>);

struct Known {
    calendar: Arc<Calendar>,
    /// The date of the search.
    on: NaiveDate,
    last: Option<NaiveDate>,
}

impl CalendarEnds {
    /// Searches the calendars that are new, or were searched on another date.
    pub(super) fn update(&mut self, blueprint: &Blueprint, inputs: &Inputs, now: Instant) {
        let on = now.date_naive();
        let mut before = std::mem::take(&mut self.0);
        let in_use = inputs.calendars.iter().filter(|(name, _)| blueprint.calendars.contains_key(*name));
        self.0 = in_use
            .map(|(name, calendar)| {
                let known = before
                    .remove(name)
                    .filter(|known| Arc::ptr_eq(&known.calendar, calendar) && known.on == on);
                let found = || Known { calendar: calendar.clone(), on, last: last_event(calendar, now) };
                (name.clone(), known.unwrap_or_else(found))
            })
            .collect();
    }

    /// Returns the days left of every calendar, and of the public holidays in use.
    pub(super) fn days_left(&self, blueprint: &Blueprint, now: Instant) -> Vec<DaysLeft> {
        let today = now.date_naive();
        let left = |name: &str, is_public: bool, last: Option<NaiveDate>| DaysLeft {
            calendar: name.to_owned(),
            is_public,
            days: last.map_or(0, |last| (last - today).num_days()),
        };
        let files = self.0.iter().map(|(name, known)| left(name, false, known.last));
        let public =
            blueprint.public_holidays().map(|(name, public)| left(name, true, public.region.last_day()));
        files.chain(public).collect()
    }
}
