//! Content lines and components (RFC 5545, 3.1 and 3.6): unfolded, split and nested, each with its line
//! number. Our own reader, because no crate says on which line a property stands.

use std::sync::Arc;

use crate::model::{Origin, Problem};

/// Components nest three deep at most in the wild (calendar, event, alarm).
const MAX_DEPTH: usize = 8;
/// Bytes of a calendar; a holiday calendar of a century is a hundredth of it.
pub const MAX_BYTES: usize = 8 << 20;
/// Lines, folded ones counted once; twenty for each of ten thousand events.
pub const MAX_LINES: usize = 200_000;
/// Bytes of one line, its folds joined.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Characters of a message, which may quote the property's value.
const MAX_MESSAGE: usize = 300;
/// Parameters of one property; RFC 5545 knows twenty.
const MAX_PARAMETERS: usize = 50;
/// Values of one property that is a list, such as the dates of an EXDATE.
pub const MAX_VALUES: usize = 10_000;

/// One property: `NAME;PARAM=value:value`.
#[derive(Clone, Debug)]
pub struct Property {
    pub name: String,
    pub params: Vec<(String, String)>,
    pub value: String,
    pub origin: Origin,
}

impl Property {
    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of a list.
    ///
    /// # Errors
    /// When there are too many.
    pub fn values(&self) -> Result<impl Iterator<Item = &str>, Problem> {
        match self.value.split(',').nth(MAX_VALUES) {
            Some(_) => Err(self
                .problem(format!("lists more than {MAX_VALUES} values"))
                .hint("list those alone that are still to come")),
            None => Ok(self.value.split(',')),
        }
    }

    /// A problem with this property, naming file, line and property.
    pub fn problem(&self, message: impl std::fmt::Display) -> Problem {
        let whole = format!("{}: {message}", self.name);
        let mut message: String = whole.chars().take(MAX_MESSAGE).collect();
        if message.len() < whole.len() {
            message.push('…');
        }
        Problem::at(&self.origin, message)
    }
}

/// `BEGIN:NAME` to `END:NAME`.
#[derive(Clone, Debug)]
pub struct Component {
    pub name: String,
    pub origin: Origin,
    pub properties: Vec<Property>,
    pub children: Vec<Component>,
}

impl Component {
    /// The property with a name that may stand only once.
    pub fn single(&self, name: &str) -> Result<Option<&Property>, Problem> {
        let mut found = self.all(name);
        let first = found.next();
        match found.next() {
            Some(second) => {
                let message = format!("stands twice in one {}", self.name);
                Err(second.problem(message).hint("keep one of them"))
            }
            None => Ok(first),
        }
    }

    /// All properties with a name.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a Property> + use<'a, 'n> {
        self.properties.iter().filter(move |p| p.name == name)
    }
}

/// Reads the VCALENDAR objects of a file.
///
/// # Errors
/// Anything that is no content line, and a file that ends before `END:VCALENDAR`: half a download
/// must not delete closures.
pub fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Component>, Problem> {
    let mut done = Vec::new();
    let mut open: Vec<Component> = Vec::new();
    if bytes.len() > MAX_BYTES {
        return Err(Problem::at(&Origin::line(file, 1), format!("the calendar has {} bytes", bytes.len()))
            .hint(format!("at most {MAX_BYTES} are read; export the events that are still to come")));
    }
    for (count, line) in unfold(file, bytes).enumerate() {
        let property = split(file, &line?)?;
        if count >= MAX_LINES {
            return Err(Problem::at(
                &property.origin,
                format!("the calendar has more than {MAX_LINES} lines"),
            )
            .hint("export the events that are still to come"));
        }
        match property.name.as_str() {
            "BEGIN" if open.len() >= MAX_DEPTH => {
                return Err(property.problem("components nest too deep").hint("export the calendar again"));
            }
            "BEGIN" => open.push(Component {
                name: property.value.trim().to_ascii_uppercase(),
                origin: property.origin,
                properties: Vec::new(),
                children: Vec::new(),
            }),
            "END" => {
                let name = property.value.trim().to_ascii_uppercase();
                match open.pop() {
                    Some(component) if component.name == name => match open.last_mut() {
                        Some(parent) => parent.children.push(component),
                        None => done.push(component),
                    },
                    _ => {
                        let problem = property.problem(format!("{name} was not begun here"));
                        return Err(problem.hint("each BEGIN has its END; export the calendar again"));
                    }
                }
            }
            _ => match open.last_mut() {
                Some(component) => component.properties.push(property),
                None => {
                    let problem = property.problem("stands outside of BEGIN:VCALENDAR");
                    return Err(problem.hint("export the calendar again"));
                }
            },
        }
    }
    if let Some(component) = open.first() {
        let message = format!("the {} that begins here never ends", component.name);
        return Err(
            Problem::at(&component.origin, message).hint("the file is cut off; fetch or export it again")
        );
    }
    if done.is_empty() {
        return Err(Problem::at(&Origin::line(file, 1), "there is no BEGIN:VCALENDAR")
            .hint("this must be an iCalendar (.ics) file"));
    }
    if let Some(other) = done.iter().find(|component| component.name != "VCALENDAR") {
        let message = format!("{} stands outside of a VCALENDAR", other.name);
        return Err(Problem::at(&other.origin, message).hint("export the calendar again"));
    }
    Ok(done)
}

struct Line {
    number: usize,
    text: String,
}

/// Joins folded lines, one at a time. A fold may split a character, so bytes are joined before they are decoded.
struct Unfolded<'b, L: Iterator<Item = &'b [u8]>> {
    file: &'b Arc<str>,
    physical: std::iter::Peekable<std::iter::Enumerate<L>>,
}

impl<'b, L: Iterator<Item = &'b [u8]>> Iterator for Unfolded<'b, L> {
    type Item = Result<Line, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        let is_fold = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
        loop {
            let (index, first) = self.physical.next()?;
            let mut line = first.to_vec();
            while let Some((_, fold)) = self.physical.next_if(|(_, line)| is_fold(line)) {
                line.extend_from_slice(&fold[1..]);
                if line.len() > MAX_LINE_BYTES {
                    break;
                }
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(self.decoded(index + 1, line));
            }
        }
    }
}

impl<'b, L: Iterator<Item = &'b [u8]>> Unfolded<'b, L> {
    fn decoded(&self, number: usize, line: Vec<u8>) -> Result<Line, Problem> {
        let origin = Origin::line(self.file, number);
        if line.len() > MAX_LINE_BYTES {
            return Err(Problem::at(&origin, format!("this line has more than {MAX_LINE_BYTES} bytes"))
                .hint("export the calendar without attachments"));
        }
        let text = String::from_utf8(line).map_err(|_| {
            Problem::at(&origin, "this line is not UTF-8").hint("save or export the calendar as UTF-8")
        })?;
        Ok(Line { number, text })
    }
}

fn unfold<'b>(file: &'b Arc<str>, bytes: &'b [u8]) -> impl Iterator<Item = Result<Line, Problem>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let physical = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Unfolded { file, physical: physical.enumerate().peekable() }
}

fn split(file: &Arc<str>, line: &Line) -> Result<Property, Problem> {
    let origin = Origin::line(file, line.number);
    let bad = || {
        Problem::at(&origin, "this is no iCalendar line")
            .hint("a line reads NAME:value or NAME;PARAM=value:value")
    };
    let (head, value) = split_unquoted(&line.text, ':').ok_or_else(bad)?;
    let (name, mut rest) = match split_unquoted(head, ';') {
        Some((name, rest)) => (name, Some(rest)),
        None => (head, None),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(is_name) || value.contains('\0') {
        return Err(bad());
    }
    let mut params = Vec::new();
    while let Some(text) = rest {
        if params.len() >= MAX_PARAMETERS {
            return Err(Problem::at(&origin, format!("more than {MAX_PARAMETERS} parameters"))
                .hint("export the calendar without attendees"));
        }
        let (param, next) = match split_unquoted(text, ';') {
            Some((param, next)) => (param, Some(next)),
            None => (text, None),
        };
        let (key, value) = param.split_once('=').ok_or_else(bad)?;
        params.push((key.to_ascii_uppercase(), value.trim_matches('"').to_owned()));
        rest = next;
    }
    Ok(Property { name: name.to_ascii_uppercase(), params, value: value.to_owned(), origin })
}

/// Splits at the first separator that stands outside of double quotes (RFC 5545, 3.1).
fn split_unquoted(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    let index = text.find(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })?;
    Some((&text[..index], &text[index + separator.len_utf8()..]))
}

/// Text with its escapes resolved (RFC 5545, 3.3.11), split at commas that are not escaped.
pub fn texts(value: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        let next = match c {
            '\\' => match characters.next() {
                Some('n' | 'N') => '\n',
                Some(escaped) => escaped,
                None => '\\',
            },
            ',' => {
                found.push(String::new());
                continue;
            }
            other => other,
        };
        if let Some(text) = found.last_mut() {
            text.push(next);
        }
    }
    found
}
