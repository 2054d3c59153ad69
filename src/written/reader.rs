//! Reading of written values: each method returns the value or notes a problem.

use std::cell::RefCell;
use std::str::FromStr;
use std::time::Duration;

use crate::zone::{self, Database, Zone};
use chrono::{Datelike, NaiveDate};

use crate::limits::settings::MAX_DURATION_DAYS;
use crate::limits::time::YEARS;
use crate::model::{Origin, Problem, Row, nearest};

use super::plain;
use super::template::{is_template, render};
use super::{Entry, Node, Raw, Scope, ScopedRow, Text};

/// A reader of written values in a scope that collects the problems.
pub struct Reader<'a> {
    scope: Scope<'a>,
    zones: &'a Database,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reader<'a> {
    /// Creates a reader without problems; time zone names are looked up in `zones`.
    pub fn new(scope: Scope<'a>, zones: &'a Database) -> Self {
        Self { scope, zones, problems: RefCell::default() }
    }

    /// Returns the row in scope.
    pub fn row(&self) -> Option<&'a Row> {
        match self.scope {
            Scope::Rows(rows) => rows.first().map(|scoped| &scoped.row),
            _ => None,
        }
    }

    /// Returns all rows in scope.
    pub fn rows(&self) -> &'a [ScopedRow] {
        match self.scope {
            Scope::Rows(rows) => rows,
            _ => &[],
        }
    }

    /// Returns true if rows are in scope, even if they are not known yet.
    pub fn has_rows(&self) -> bool {
        !matches!(self.scope, Scope::Plain)
    }

    /// Reads with other rows in scope.
    pub fn within<T>(&self, rows: &[ScopedRow], read: impl FnOnce(&Reader) -> T) -> T {
        let inner = Reader::new(Scope::Rows(rows), self.zones);
        let value = read(&inner);
        self.problems.borrow_mut().extend(inner.into_problems());
        value
    }

    /// Reads with rows that are not known yet.
    pub fn within_row_to_come<T>(&self, read: impl FnOnce(&Reader) -> T) -> T {
        let inner = Reader::new(Scope::RowToCome, self.zones);
        let value = read(&inner);
        self.problems.borrow_mut().extend(inner.into_problems());
        value
    }

    /// Returns true while values are checked before their row is known.
    ///
    /// The names of its columns are not known then.
    pub fn is_before_its_row(&self) -> bool {
        matches!(self.scope, Scope::RowToCome)
    }

    /// Notes a problem.
    pub fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Returns the value of a result, or notes its problem.
    pub fn ok<T>(&self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.note(problem)).ok()
    }

    /// Returns all problems, in the order in which they were found.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Amends the problems from index `from` on.
    pub fn amend(&self, from: usize, amend: impl FnMut(&mut Problem)) {
        self.problems.borrow_mut().iter_mut().skip(from).for_each(amend);
    }

    /// Returns the number of problems so far.
    pub fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// Reads a table whose keys must be among `known`; `what` names it in messages.
    pub fn table<'n>(&self, node: &'n Node, what: &'static str, known: &[&str]) -> Option<Fields<'n>> {
        let fields = self.open_table(node, what)?;
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                self.note(unknown_key(entry, what, known));
            }
        }
        Some(fields)
    }

    /// Reads a table with keys of the user's choosing.
    pub fn open_table<'n>(&self, node: &'n Node, what: &'static str) -> Option<Fields<'n>> {
        match &node.raw {
            Raw::Table(entries) => Some(Fields { origin: &node.origin, entries, what }),
            _ => {
                self.wrong_kind(node, "a table", what);
                None
            }
        }
    }

    /// Reads a list.
    pub fn list<'n>(&self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        match &node.raw {
            Raw::List(items) => Some(items),
            _ => {
                self.wrong_kind(node, "a list", what);
                None
            }
        }
    }

    /// Reads text and fills in its templates.
    pub fn text(&self, node: &Node, what: &str) -> Option<Text> {
        let Raw::Text(text) = &node.raw else {
            self.wrong_kind(node, "text", what);
            return None;
        };
        self.fill_in(text, &node.origin)
    }

    /// Fills in the templates of a text.
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
                        .hint("set for_each = \"SOURCE\" in the block"),
                );
                None
            }
        }
    }

    /// Reads text and parses it as `T`; `hint` describes the expected syntax.
    pub fn parse<T: FromStr<Err = String>>(&self, node: &Node, what: &str, hint: &str) -> Option<T> {
        let text = self.text(node, what)?;
        let parsed = text.value.parse();
        self.ok(parsed.map_err(|message| Problem::at(&text.origin, message).hint(hint)))
    }

    /// Reads `true` or `false`, or a template that a row fills in.
    ///
    /// A filled-in template may also be yes or no.
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

    /// Reads a length of time such as `90s`, `5m`, `4h` or `1h 30m`; never zero.
    pub fn duration(&self, node: &Node, what: &str) -> Option<Duration> {
        self.duration_below(node, what, MAX_DURATION_DAYS)
    }

    /// Reads a length of time shorter than `days` days.
    pub fn duration_below(&self, node: &Node, what: &str, days: u64) -> Option<Duration> {
        if let Raw::Number(number) = &node.raw {
            let problem = Problem::at(&node.origin, format!("{what}: {number} has no unit"));
            let hint = format!(
                "write it with its unit, in quotes: \"{number}s\", \"{number}m\", \"{number}h\" or \
                 \"{number}d\""
            );
            self.note(problem.hint(hint));
            return None;
        }
        let text = self.text(node, what)?;
        match humantime::parse_duration(&text.value) {
            Ok(duration) if !duration.is_zero() && duration.as_secs() < days * 86_400 => Some(duration),
            _ => {
                self.note(
                    Problem::at(&text.origin, format!("{what}: invalid duration \"{}\"", text.value))
                        .hint("write a number and a unit, as in 90s, 5m or 4h"),
                );
                None
            }
        }
    }

    /// Reads a whole number within bounds.
    ///
    /// Text of digits is accepted, for environment variables and templates.
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

    /// Reads a zone of the IANA database.
    pub fn zone(&self, node: &Node, what: &str) -> Option<Zone> {
        let text = self.text(node, what)?;
        self.zone_named(&text)
    }

    /// Returns the zone with a name, if it exists; notes no problem.
    pub fn known_zone(&self, name: &str) -> Option<Zone> {
        self.zones.zone(name.trim())
    }

    /// Returns the zone that a text names.
    fn zone_named(&self, text: &Text) -> Option<Zone> {
        let name = text.value.trim();
        self.ok(self.known_zone(name).ok_or_else(|| {
            let problem = Problem::at(&text.origin, format!("unknown time zone `{name}`"));
            // The name most similar to a short abbreviation is often on another continent.
            let nearest = nearest(name, zone::known_names()).filter(|_| name.len() > 6);
            match zone::by_windows_name(name).or(nearest) {
                Some(known) => problem.hint(format!("did you mean \"{known}\"?")),
                None => problem.hint("write a name of the IANA database, for example Europe/London"),
            }
        }))
    }

    /// Parses a date such as `2026-12-24`.
    pub fn date_named(&self, text: &Text) -> Option<NaiveDate> {
        let problem = match plain(&text.value).trim().parse::<NaiveDate>() {
            Ok(date) if YEARS.contains(&date.year()) => return Some(date),
            Ok(_) => {
                let message = format!(
                    "the date \"{}\" is outside the years {} to {}",
                    text.value,
                    YEARS.start(),
                    YEARS.end()
                );
                Problem::at(&text.origin, message).hint("correct the year; leave out an end that never comes")
            }
            Err(_) => Problem::at(&text.origin, format!("\"{}\" is not a date", text.value))
                .hint("write YYYY-MM-DD, as in 2026-12-24"),
        };
        self.note(problem);
        None
    }

    /// Notes that a value has the wrong kind.
    pub fn wrong_kind(&self, node: &Node, expected: &str, what: &str) {
        self.note(Problem::at(&node.origin, format!("{what} must be {expected}, not {}", node.kind())));
    }
}

/// The entries of a table that is being read.
#[derive(Clone, Copy)]
pub struct Fields<'n> {
    /// The place where the table is written.
    pub origin: &'n Origin,
    /// Its entries, in the order written.
    pub entries: &'n [Entry],
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// Returns the value under a key.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Returns the value under a required key.
    pub fn require(&self, reader: &Reader, key: &str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() && !self.is_misspelled(reader, key) {
            reader.note(Problem::at(self.origin, format!("{} needs \"{key}\"", self.what)));
        }
        node
    }

    /// Returns the value under a required key; `hint` is given if it is missing.
    pub fn require_or(&self, reader: &Reader, key: &str, hint: &str) -> Option<&'n Node> {
        let node = self.get(key);
        if node.is_none() && !self.is_misspelled(reader, key) {
            reader.note(Problem::at(self.origin, format!("{} needs \"{key}\"", self.what)).hint(hint));
        }
        node
    }

    /// Returns true if an unknown key of this table was reported as a misspelling of `key`.
    ///
    /// The missing key is then not reported too.
    pub fn is_misspelled(&self, reader: &Reader, key: &str) -> bool {
        let hint = did_you_mean(key);
        let is_ours = |problem: &Problem| {
            problem.hint.as_deref() == Some(&hint)
                && self.entries.iter().any(|entry| problem.origin.as_ref() == Some(&entry.at))
        };
        reader.problems.borrow().iter().any(is_ours)
    }

    /// Returns true if any of the keys is present.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }
}

fn did_you_mean(key: &str) -> String {
    format!("did you mean `{key}`?")
}

fn unknown_key(entry: &Entry, what: &str, known: &[&str]) -> Problem {
    let key = &entry.key;
    let mut problem = Problem::at(&entry.at, format!("unknown key `{key}` in {what}"));
    problem.hint = Some(match nearest(key, known.iter().copied()) {
        Some(known) => did_you_mean(known),
        None => format!("known keys: {}", known.join(", ")),
    });
    // A user who writes the API key itself into the settings must not find it in a log.
    let lower = key.to_lowercase();
    if ["key", "token", "secret", "password"].iter().any(|word| lower.contains(word)) {
        problem.secret = true;
        problem = problem
            .hint("keep the API key out of the settings: write key_file = \"PATH\", or set RTCONFD_API_KEY");
    }
    problem
}
