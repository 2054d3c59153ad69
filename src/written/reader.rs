//! Reading written values: every method gives what it could read and notes what it could not.

use std::cell::RefCell;
use std::str::FromStr;
use std::time::Duration;

use crate::zone::{self, Database, Zone};
use chrono::{Datelike, NaiveDate};

use crate::model::{Origin, Problem, Row, nearest};

use super::plain;
use super::template::{is_template, render};
use super::{Entry, Node, Raw, Scope, ScopedRow, Text};

/// Reads written values in a scope and collects the problems.
pub struct Reader<'a> {
    scope: Scope<'a>,
    zones: &'a Database,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    /// A reader without problems yet; names of time zones are those of `zones`.
    pub fn new(scope: Scope<'a>, zones: &'a Database) -> Self {
        Self { scope, zones, problems: RefCell::default() }
    }

    /// The row in scope.
    pub fn row(&self) -> Option<&'a Row> {
        match self.scope {
            Scope::Rows(rows) => rows.first().map(|scoped| &scoped.row),
            _ => None,
        }
    }

    /// All rows in scope.
    pub fn rows(&self) -> &'a [ScopedRow] {
        match self.scope {
            Scope::Rows(rows) => rows,
            _ => &[],
        }
    }

    /// Whether rows are in scope at all, known or to come.
    pub fn has_rows(&self) -> bool {
        !matches!(self.scope, Scope::Plain)
    }

    /// Reads something with other rows in scope.
    pub fn within<T>(&self, rows: &[ScopedRow], read: impl FnOnce(&Reader) -> T) -> T {
        let inner = Reader::new(Scope::Rows(rows), self.zones);
        let value = read(&inner);
        self.problems.borrow_mut().extend(inner.into_problems());
        value
    }

    /// Reads something whose rows are not known yet.
    pub fn within_row_to_come<T>(&self, read: impl FnOnce(&Reader) -> T) -> T {
        let inner = Reader::new(Scope::RowToCome, self.zones);
        let value = read(&inner);
        self.problems.borrow_mut().extend(inner.into_problems());
        value
    }

    /// Whether what is read is checked before there is a row, so that the names of its columns are not known.
    pub fn is_before_its_row(&self) -> bool {
        matches!(self.scope, Scope::RowToCome)
    }

    /// Notes a problem.
    pub fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Notes what went wrong, or gives what went right.
    pub fn ok<T>(&self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.note(problem)).ok()
    }

    /// All problems, in the order they were found.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Looks at the problems from the one with a number on, and may say more of them.
    pub fn amend(&self, from: usize, amend: impl FnMut(&mut Problem)) {
        self.problems.borrow_mut().iter_mut().skip(from).for_each(amend);
    }

    /// How many problems there are so far.
    pub fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// A table whose keys must be among `known`; `what` names it in messages.
    pub fn table<'n>(&self, node: &'n Node, what: &'static str, known: &[&str]) -> Option<Fields<'n>> {
        let fields = self.open_table(node, what)?;
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                self.note(unknown_key(entry, what, known));
            }
        }
        Some(fields)
    }

    /// A table with keys of the user's own choosing.
    pub fn open_table<'n>(&self, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        match &node.raw {
            Raw::Table(entries) => Some(Fields { origin: &node.origin, entries, what }),
            _ => {
                self.wrong_kind(node, "a table", what);
                None
            }
        }
    }

    /// A list.
    pub fn list<'n>(&self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.raw {
            Raw::List(items) => Some(items),
            _ => {
                self.wrong_kind(node, "a list", what);
                None
            }
        }
    }

    /// Text, its templates filled in.
    pub fn text(&self, node: &Node, what: &str) -> Option<Text> {
        let Raw::Text(text) = &node.raw else {
            self.wrong_kind(node, "text", what);
            return None;
        };
        self.fill_in(text, &node.origin)
    }

    /// Text with its templates filled in.
    pub fn fill_in(&self, text: &str, origin: &Origin) -> Option<Text> {
        if !is_template(text) {
            return Some(Text { value: text.to_owned(), origin: origin.clone() });
        }
        match self.scope {
            Scope::Rows(rows) => self.ok(render(text, origin, rows)),
            Scope::RowToCome => None,
            Scope::Plain => {
                self.note(
                    Problem::at(origin, format!("\"{text}\" needs a row to fill it in"))
                        .hint("give the page for_each = \"SOURCE\""),
                );
                None
            }
        }
    }

    /// Text that `T` can be read from; `hint` says how to write one.
    pub fn parse<T: FromStr<Err = String>>(&self, node: &Node, what: &str, hint: &str) -> Option<T> {
        let text = self.text(node, what)?;
        let parsed = text.value.parse();
        self.ok(parsed.map_err(|message| Problem::at(&text.origin, message).hint(hint)))
    }

    /// `true` or `false`, or a template that a row fills in with one of these, or with yes or no.
    pub fn boolean(&self, node: &Node, what: &str) -> Option<bool> {
        let found = match &node.raw {
            Raw::Bool(value) => return Some(*value),
            Raw::Text(text) if is_template(text) => {
                let filled = self.fill_in(text, &node.origin)?;
                match filled.value.trim().to_lowercase().as_str() {
                    "true" | "yes" => return Some(true),
                    "false" | "no" => return Some(false),
                    _ => Problem::at(
                        &filled.origin,
                        format!("{what}: \"{}\" is not true or false", filled.value),
                    ),
                }
            }
            _ => Problem::at(&node.origin, format!("{what} must be true or false, not {}", node.kind())),
        };
        self.note(found.hint("write true or false; without quotes in settings and JSON"));
        None
    }

    /// A length of time such as `90s`, `5m`, `4h` or `1h 30m`; never zero.
    pub fn duration(&self, node: &Node, what: &str) -> Option<Duration> {
        self.duration_below(node, what, 400)
    }

    /// The same of less than so many days.
    pub fn duration_below(&self, node: &Node, what: &str, days: u64) -> Option<Duration> {
        if let Raw::Number(number) = &node.raw {
            let problem = Problem::at(&node.origin, format!("{what}: {number} has no unit"));
            let hint = format!(
                "write it with its unit, in quotes: \"{number}s\", \"{number}m\", \"{number}h\" or \"{number}d\""
            );
            self.note(problem.hint(hint));
            return None;
        }
        let text = self.text(node, what)?;
        match humantime::parse_duration(&text.value) {
            Ok(duration) if !duration.is_zero() && duration.as_secs() < days * 86_400 => Some(duration),
            _ => {
                self.note(
                    Problem::at(&text.origin, format!("{what}: \"{}\" is no length of time", text.value))
                        .hint("write a number and a unit, as in 90s, 5m or 4h"),
                );
                None
            }
        }
    }

    /// A whole number within bounds; text of digits counts, for the environment and templates.
    pub fn integer(&self, node: &Node, what: &str, min: u64, max: u64) -> Option<u64> {
        let (text, origin) = match &node.raw {
            Raw::Number(number) => (number.to_string(), node.origin.clone()),
            _ => {
                let text = self.text(node, what)?;
                (text.value, text.origin)
            }
        };
        let value = text.parse().ok().filter(|value| (min..=max).contains(value));
        if value.is_none() {
            self.note(
                Problem::at(&origin, format!("{what}: {text} is out of range"))
                    .hint(format!("write a whole number from {min} to {max}")),
            );
        }
        value
    }

    /// A zone of the IANA database.
    pub fn zone(&self, node: &Node, what: &str) -> Option<Zone> {
        let text = self.text(node, what)?;
        self.zone_named(&text)
    }

    /// The zone that text names, if there is one; notes nothing.
    pub fn known_zone(&self, name: &str) -> Option<Zone> {
        self.zones.zone(name.trim())
    }

    /// The zone that text names.
    pub fn zone_named(&self, text: &Text) -> Option<Zone> {
        let name = text.value.trim();
        self.ok(self.known_zone(name).ok_or_else(|| {
            let problem = Problem::at(&text.origin, format!("unknown time zone `{name}`"));
            // The nearest name to a short abbreviation is as likely another continent's.
            let nearest = nearest(name, zone::known_names()).filter(|_| name.len() > 6);
            match zone::by_windows_name(name).or(nearest) {
                Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
                None => problem.hint("write a name of the IANA database, for example Europe/London"),
            }
        }))
    }

    /// The date that text names, as in `2026-12-24`.
    pub fn date_named(&self, text: &Text) -> Option<NaiveDate> {
        let problem = match plain(&text.value).trim().parse::<NaiveDate>() {
            Ok(date) if (1900..=2200).contains(&date.year()) => return Some(date),
            Ok(_) => {
                let message = format!("\"{}\" is no date of the years 1900 to 2200", text.value);
                Problem::at(&text.origin, message)
                    .hint("correct the year; an end that never comes is left out")
            }
            Err(_) => Problem::at(&text.origin, format!("\"{}\" is not a date", text.value))
                .hint("write YYYY-MM-DD, as in 2026-12-24"),
        };
        self.note(problem);
        None
    }

    /// Notes that a value is of another kind than it should be.
    pub fn wrong_kind(&self, node: &Node, wanted: &str, what: &str) {
        self.note(Problem::at(&node.origin, format!("{what} must be {wanted}, not {}", node.kind())));
    }
}

/// The entries of a table that is being read.
#[derive(Clone, Copy)]
pub struct Fields<'n> {
    /// Where the table stands.
    pub origin: &'n Origin,
    /// Its entries, in the order written.
    pub entries: &'n [Entry],
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The value under a key that must be there.
    pub fn require(&self, reader: &Reader, key: &str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            reader.note(Problem::at(self.origin, format!("{} needs \"{key}\"", self.what)));
        }
        node
    }

    /// The value under a key that must be there, with the remedy for when it is not.
    pub fn require_or(&self, reader: &Reader, key: &str, hint: &str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() {
            reader.note(Problem::at(self.origin, format!("{} needs \"{key}\"", self.what)).hint(hint));
        }
        node
    }

    /// Whether any of the keys is there.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }
}

fn unknown_key(entry: &Entry, what: &str, known: &[&str]) -> Problem {
    let key = &entry.key;
    let mut problem = Problem::at(&entry.at, format!("unknown key `{key}` in {what}"));
    problem.hint = Some(match nearest(key, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("known keys: {}", known.join(", ")),
    });
    // Somebody who writes the key itself into the settings must not find it in a log.
    let lower = key.to_lowercase();
    if ["key", "token", "secret", "password"].iter().any(|word| lower.contains(word)) {
        problem.secret = true;
        problem = problem.hint(
            "the API key never stands in the settings: write key_file = \"PATH\", or set RTCONFD_API_KEY",
        );
    }
    problem
}
