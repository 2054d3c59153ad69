//! Components of a calendar file (RFC 5545, 3.6), nested as they were written.

use std::sync::Arc;

use crate::limits::calendars::{MAX_CALENDAR_BYTES, MAX_CALENDAR_LINES, MAX_NESTING};
use crate::model::{Origin, Problem};

use super::lines::{DECIDING, Property, property, unfold};
use super::notes::Notes;

/// Properties that are read besides the deciding ones; any other is dropped to save memory.
const OTHERS: [&str; 6] =
    ["SUMMARY", "CATEGORIES", "SEQUENCE", "X-WR-TIMEZONE", "X-LIC-LOCATION", "LAST-MODIFIED"];

fn is_read(name: &str) -> bool {
    DECIDING.contains(&name) || OTHERS.contains(&name)
}

/// A component, from `BEGIN:NAME` to `END:NAME`.
#[derive(Clone, Debug)]
pub struct Component {
    pub name: String,
    pub origin: Origin,
    properties: Vec<Property>,
    pub children: Vec<Component>,
}

impl Component {
    /// Returns a property that may occur once, or repeatedly with the same value.
    ///
    /// # Errors
    /// Fails when two occurrences differ.
    pub fn single(&self, name: &str) -> Result<Option<&Property>, Problem> {
        let mut found = self.all(name);
        let Some(first) = found.next() else { return Ok(None) };
        let is_same =
            |other: &&Property| other.value.trim() == first.value.trim() && other.params == first.params;
        match found.find(|other| !is_same(other)) {
            Some(second) => {
                let message = format!("occurs twice in one {}", self.name);
                Err(second.problem(message).hint("keep one of them"))
            }
            None => Ok(Some(first)),
        }
    }

    /// Returns the first property with this name.
    ///
    /// For properties that do not affect when an event happens: a second one is only noted as a
    /// warning.
    pub fn first(&self, name: &'static str, notes: &Notes) -> Option<&Property> {
        let mut found = self.all(name);
        let first = found.next();
        if let Some(second) = found.next() {
            notes.note(
                name,
                &second.origin,
                format!("{name} occurs twice in one {}: the first is used", self.name),
            );
        }
        first
    }

    /// Returns all properties with a name, which must be one of those that are read.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a Property> + use<'a, 'n> {
        debug_assert!(is_read(name), "{name} is dropped on reading");
        self.properties.iter().filter(move |p| p.name == name)
    }
}

/// Parses the VCALENDAR objects of a file.
///
/// Invalid lines that cannot affect when an event happens are skipped with a warning.
///
/// # Errors
/// Fails on an unreadable line that may affect when an event happens, and on a file that ends
/// before `END:VCALENDAR`: half a download must not delete closures.
pub fn parse(file: &Arc<str>, bytes: &[u8], notes: &Notes) -> Result<Vec<Component>, Problem> {
    check_readable(file, bytes)?;
    let mut nesting = Nesting::default();
    let mut last = String::new();
    for (count, line) in unfold(file, bytes, notes).enumerate() {
        let line = line?;
        if count >= MAX_CALENDAR_LINES {
            let origin = Origin::line(file, line.number);
            return Err(Problem::at(
                &origin,
                format!("the calendar has more than {MAX_CALENDAR_LINES} lines"),
            )
            .hint("export only upcoming events"));
        }
        let Some(property) = property(file, &line, &last, notes)? else {
            last.clear();
            continue;
        };
        last.clone_from(&property.name);
        match property.name.as_str() {
            "BEGIN" => nesting.begin(property)?,
            "END" => nesting.end(&property)?,
            _ => nesting.add(property, notes),
        }
    }
    nesting.finish(file)
}

/// Checks the size and the encoding of a calendar file.
fn check_readable(file: &Arc<str>, bytes: &[u8]) -> Result<(), Problem> {
    if bytes.len() > MAX_CALENDAR_BYTES {
        return Err(Problem::at(&Origin::line(file, 1), format!("the calendar has {} bytes", bytes.len()))
            .hint(format!("at most {MAX_CALENDAR_BYTES} are read; export only upcoming events")));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) || bytes.get(1) == Some(&0) {
        let problem = Problem::at(&Origin::line(file, 1), "this file is UTF-16, not UTF-8");
        return Err(problem.hint("save or export the calendar as UTF-8"));
    }
    Ok(())
}

/// The components read so far.
#[derive(Default)]
struct Nesting {
    /// The components that have not ended, the outermost first.
    open: Vec<Component>,
    /// The components that have ended and are not part of another.
    done: Vec<Component>,
}

impl Nesting {
    fn begin(&mut self, begin: Property) -> Result<(), Problem> {
        if self.open.len() >= MAX_NESTING {
            return Err(begin.problem("components are nested too deeply").hint("export the calendar again"));
        }
        self.open.push(Component {
            name: begin.value.trim().to_ascii_uppercase(),
            origin: begin.origin,
            properties: Vec::new(),
            children: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self, end: &Property) -> Result<(), Problem> {
        let name = end.value.trim().to_ascii_uppercase();
        let Some(component) = self.open.pop().filter(|component| component.name == name) else {
            let problem = end.problem(format!("{name} has no matching BEGIN"));
            return Err(problem.hint("export the calendar again; each END needs a matching BEGIN"));
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(component),
            None => self.done.push(component),
        }
        Ok(())
    }

    /// Adds a property to the innermost component.
    fn add(&mut self, property: Property, notes: &Notes) {
        match self.open.last_mut() {
            Some(component) if is_read(&property.name) => component.properties.push(property),
            Some(_) => {}
            None => notes.note(
                "outside",
                &property.origin,
                "this line is outside BEGIN:VCALENDAR and END:VCALENDAR and is ignored",
            ),
        }
    }

    /// Returns the VCALENDAR objects of the file.
    fn finish(self, file: &Arc<str>) -> Result<Vec<Component>, Problem> {
        if let Some(component) = self.open.first() {
            let message = format!("the {} that begins here never ends", component.name);
            return Err(
                Problem::at(&component.origin, message).hint("the file is cut off; fetch or export it again")
            );
        }
        if self.done.is_empty() {
            return Err(Problem::at(&Origin::line(file, 1), "missing BEGIN:VCALENDAR")
                .hint("use an iCalendar (.ics) file"));
        }
        if let Some(other) = self.done.iter().find(|component| component.name != "VCALENDAR") {
            let message = format!("{} is outside a VCALENDAR", other.name);
            return Err(Problem::at(&other.origin, message).hint("export the calendar again"));
        }
        Ok(self.done)
    }
}
