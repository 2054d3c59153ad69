//! The input of compilation: settings for pages, and the content of their inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::{Calendar, Filter, Region};
use crate::model::{Origin, Problem};
use crate::tables::Table;
use crate::written::Node;
use crate::zone::{Database, Zone};

/// The settings for pages, as written.
///
/// Templates are filled in row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blueprint {
    /// The zone database.
    pub zones: Arc<Database>,
    /// The default time zone, used when no closer setting names one.
    pub zone: Option<Zone>,
    /// The sources by name.
    pub sources: BTreeMap<String, SourceUse>,
    /// The calendars by name.
    pub calendars: BTreeMap<String, CalendarUse>,
    /// The named hours, as written.
    pub hours: BTreeMap<String, Node>,
    /// The page blocks, as written.
    pub pages: Vec<Node>,
    /// The names of configured sources and calendars that cannot be used.
    ///
    /// Each of them has a problem of its own already.
    pub broken: BTreeSet<String>,
}

/// A source, as pages see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceUse {
    /// Its file as the settings name it.
    pub file: String,
    /// True for rows, false for a tree of values.
    pub has_rows: bool,
    /// True if rows can be found by key.
    pub has_key: bool,
}

/// A calendar, as pages see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalendarUse {
    /// Its file as the settings name it, if it has one.
    pub file: Option<String>,
    /// The filter that selects the events that count.
    pub filter: Filter,
    /// The place where the filter is written.
    pub filter_origin: Option<Origin>,
    /// The zone that its dates are in, unless a closer setting names one.
    pub zone: Option<Zone>,
    /// The public holidays that it has instead of a file.
    pub public: Option<PublicHolidays>,
}

/// A calendar of public holidays, which needs no file.
#[derive(Clone, Debug)]
pub struct PublicHolidays {
    /// The country or subdivision that the holidays belong to.
    pub region: Region,
    /// The holidays, with the additions and removals of the settings.
    pub calendar: Arc<Calendar>,
    /// The place in the settings that requests them.
    pub origin: Origin,
}

impl PartialEq for PublicHolidays {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.calendar, &other.calendar) && self.origin == other.origin
    }
}

impl Blueprint {
    /// Returns the public holidays in use, with the names of their calendars.
    pub fn public_holidays(&self) -> impl Iterator<Item = (&str, &PublicHolidays)> {
        self.calendars.iter().filter_map(|(name, calendar)| Some((name.as_str(), calendar.public.as_ref()?)))
    }

    /// Returns problems of public holidays whose data ends soon, or has ended, on a date.
    pub fn ending(&self, on: NaiveDate) -> Vec<Problem> {
        let reported = self.public_holidays().filter_map(|(name, public)| {
            let mut problem = public.region.ending(on)?.about(format!("calendar \"{name}\""));
            problem.origin = Some(public.origin.clone());
            Some(problem)
        });
        reported.collect()
    }
}

/// The content of sources and calendars.
///
/// An input that could not be read yet is absent.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Tables by the name of their source.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Arc<Calendar>>,
}

impl Inputs {
    /// Returns true if both hold the very same files, compared by pointer.
    pub fn is_same(&self, other: &Self) -> bool {
        fn all<T>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|((a, x), (b, y))| a == b && Arc::ptr_eq(x, y))
        }
        all(&self.tables, &other.tables) && all(&self.calendars, &other.calendars)
    }
}
