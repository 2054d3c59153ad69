//! What pages are put together from: what the settings say of them, and what the inputs hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::calendar::{Calendar, Filter, Region};
use crate::model::{Origin, Problem};
use crate::tables::Table;
use crate::written::Node;
use crate::zone::{Database, Zone};

/// What the settings say of pages, still as written: templates are filled in row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Blueprint {
    /// The zone database.
    pub zones: Arc<Database>,
    /// The zone where nothing nearer names one.
    pub zone: Option<Zone>,
    /// The sources by name.
    pub sources: BTreeMap<String, SourceUse>,
    /// The calendars by name.
    pub calendars: BTreeMap<String, CalendarUse>,
    /// The named hours, as written.
    pub hours: BTreeMap<String, Node>,
    /// The page blocks, as written.
    pub pages: Vec<Node>,
    /// The names of sources and calendars that are written and can't be used, which is told by itself.
    pub broken: BTreeSet<String>,
}

/// A source, as pages see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceUse {
    /// Its file as the settings name it.
    pub file: String,
    /// Whether it has rows (CSV) or is a tree (JSON).
    pub has_rows: bool,
    /// Whether rows can be found by key.
    pub has_key: bool,
}

/// A calendar, as pages see it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalendarUse {
    /// Its file as the settings name it, if it has one.
    pub file: Option<String>,
    /// Which of its events count.
    pub filter: Filter,
    /// Where that is written.
    pub filter_origin: Option<Origin>,
    /// The zone whose dates count where nothing nearer names one.
    pub zone: Option<Zone>,
    /// The public holidays that it has instead of a file.
    pub public: Option<PublicHolidays>,
}

/// A calendar of public holidays, which needs no file.
#[derive(Clone, Debug)]
pub struct PublicHolidays {
    /// Whose they are.
    pub region: Region,
    /// What they are, with what the settings add and remove.
    pub calendar: Arc<Calendar>,
    /// Where the settings ask for them.
    pub origin: Origin,
}

impl PartialEq for PublicHolidays {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.calendar, &other.calendar) && self.origin == other.origin
    }
}

impl Blueprint {
    /// The public holidays that are used, with the names of their calendars.
    pub fn public_holidays(&self) -> impl Iterator<Item = (&str, &PublicHolidays)> {
        self.calendars.iter().filter_map(|(name, calendar)| Some((name.as_str(), calendar.public.as_ref()?)))
    }

    /// What is to be told on a date of public holidays that are not known much further, or no longer.
    pub fn ending(&self, on: NaiveDate) -> Vec<Problem> {
        let told = self.public_holidays().filter_map(|(name, public)| {
            let mut problem = public.region.ending(on)?.about(format!("calendar \"{name}\""));
            problem.origin = Some(public.origin.clone());
            Some(problem)
        });
        told.collect()
    }
}

/// What the sources and calendars hold; one that could not be read yet is not there.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Tables by the name of their source.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// Calendars by name.
    pub calendars: BTreeMap<String, Arc<Calendar>>,
}

impl Inputs {
    /// Whether two are the very same, file by file.
    pub fn is_same(&self, other: &Self) -> bool {
        fn all<T>(one: &BTreeMap<String, Arc<T>>, other: &BTreeMap<String, Arc<T>>) -> bool {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|((a, x), (b, y))| a == b && Arc::ptr_eq(x, y))
        }
        all(&self.tables, &other.tables) && all(&self.calendars, &other.calendars)
    }
}
