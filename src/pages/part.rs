//! The part of a page that an override affects: rows of tables, identified by key.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Instant, Row, RowName};

use super::Page;

/// The part of a page that an override affects, as rows.
///
/// The rows are those that had the requested cells when the override was set. They are identified
/// by key, so that an edit of another cell does not end the override early.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// True if values not made for a row are affected too, since the page's own row is.
    pub own: bool,
    /// The ends of the rows, by table and key.
    rows: BTreeMap<Keyed, BTreeMap<String, Option<Instant>>>,
}

/// A table whose rows are identified by a column: its source, if known, and the column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Keyed {
    source: Option<String>,
    column: String,
}

impl Keyed {
    /// Returns the key by which a row is in this table, or belongs to one of its rows.
    ///
    /// The key of another table is not a key of this one, even if the columns have the same name.
    fn of<'r>(&self, row: &'r Row) -> Option<&'r str> {
        let is_own = self.source.is_none() || self.source.as_deref() == row.head.source.as_deref();
        let is_meant = is_own || row.key_column() != Some(&*self.column);
        row.text(&self.column).filter(|_| is_meant).map(str::trim)
    }
}

impl Part {
    /// Builds a part from rows, each with its end.
    pub fn new(own: bool, rows: impl IntoIterator<Item = (RowName, Option<Instant>)>) -> Self {
        let mut part = Self { own, rows: BTreeMap::new() };
        for (RowName { source, column, key }, until) in rows {
            part.rows.entry(Keyed { source, column }).or_default().insert(key, until);
        }
        part
    }

    /// Returns the rows, each with its end.
    pub fn rows(&self) -> impl Iterator<Item = (RowName, Option<Instant>)> {
        self.rows.iter().flat_map(|(Keyed { source, column }, keys)| {
            let name =
                |key: &String| RowName { source: source.clone(), column: column.clone(), key: key.clone() };
            keys.iter().map(move |(key, until)| (name(key), *until))
        })
    }

    /// Returns the part with source names that match the page now.
    ///
    /// If no row of the page comes from a source any more, the source was renamed: its name is
    /// dropped.
    pub(super) fn as_called_on(&self, page: &Page) -> Cow<'_, Self> {
        let made = page.made_for_rows();
        let rows = page.row.iter().chain(made.iter().map(|made| made.row));
        let sources: BTreeSet<&str> = rows.filter_map(|row| row.head.source.as_deref()).collect();
        let is_known = |table: &Keyed| table.source.as_deref().is_none_or(|name| sources.contains(name));
        if self.rows.keys().all(is_known) {
            return Cow::Borrowed(self);
        }
        let rows = self.rows().map(|(name, until)| {
            let table = Keyed { source: name.source.clone(), column: name.column.clone() };
            (RowName { source: name.source.filter(|_| is_known(&table)), ..name }, until)
        });
        Cow::Owned(Self::new(self.own, rows))
    }

    /// Returns the end for the values of a row; none if they are not affected.
    ///
    /// A row that belongs to none of the tables follows the value that contains it.
    pub(super) fn decide(&self, row: &Row, around: Option<Option<Instant>>) -> Option<Option<Instant>> {
        let mut decided = around;
        for (table, keys) in &self.rows {
            let Some(key) = table.of(row) else { continue };
            match keys.get(key) {
                Some(until) => return Some(*until),
                None => decided = None,
            }
        }
        decided
    }
}
