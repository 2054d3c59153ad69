//! `{{ row.x }}`: text that includes cells of a table's row.
//!
//! minijinja fills it in within a fixed amount of work.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior};

use crate::limits::settings::{MAX_FILLED_IN, MAX_TEMPLATE, TEMPLATE_FUEL};
use crate::model::{Origin, Problem, Row};

use super::node::{Node, Raw};
use super::{ScopedRow, Text};

/// The allowed statements.
///
/// Other statements (`set`, `with`, `for`) keep a value, so a list could double at every step. Fuel limits
/// the texts that a template builds, but not its lists.
const STATEMENTS: &[&str] = &["if", "elif", "else", "endif"];

/// Returns true if the text contains a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Returns true if a row fills in some text of a value.
pub fn has_template(node: &Node) -> bool {
    match &node.raw {
        Raw::Text(text) => is_template(text),
        Raw::List(items) => items.iter().any(has_template),
        Raw::Table(entries) => entries.iter().any(|entry| has_template(&entry.node)),
        Raw::Null | Raw::Bool(_) | Raw::Number(_) => false,
    }
}

/// Fills in a template from one row and the rows joined to it.
///
/// The origin of the output is that of the cells used, so that a later problem names these and not
/// the template.
///
/// # Errors
/// Fails on an invalid template, a missing column, or a template that takes too much work.
pub fn render(template: &str, at: &Origin, rows: &[ScopedRow]) -> Result<Text, Problem> {
    check_size(template, at)?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    let broken = |error: &minijinja::Error| {
        Problem::at(at, format!("the template \"{template}\" fails: {error}"))
            .hint("write {{ row.COLUMN }} for the cell in that column, {{ NAME.COLUMN }} of a row in join")
    };
    let compiled = environment.template_from_str(template).map_err(|error| broken(&error))?;

    let mut places: Vec<(usize, Origin)> = Vec::new();
    for name in compiled.undeclared_variables(true) {
        let Some((scope, column)) = name.split_once('.') else {
            continue;
        };
        let Some(scoped) = rows.iter().find(|scoped| scoped.name == scope) else {
            continue;
        };
        let cell = scoped.row.cell(column).ok_or_else(|| scoped.row.no_column(at, column))?;
        // The library returns the names in no particular order; readers expect the written order.
        let written = template.find(&name).unwrap_or(usize::MAX);
        places.push((written, cell.origin));
    }
    places.sort_by(|(a, one), (b, other)| (a, one.line, one.column).cmp(&(b, other.line, other.column)));
    let origin = Origin::of_all(places.into_iter().map(|(_, origin)| origin).collect());
    let mut out = Filled::default();
    let context: BTreeMap<&str, BTreeMap<&str, &str>> =
        rows.iter().map(|scoped| (scoped.name.as_str(), cells(&scoped.row))).collect();
    let context = minijinja::Value::from(minijinja::value::Serde(context));
    let rendered = compiled.render_captured_to(context, &mut out).map(drop);
    if out.is_full {
        let message = format!("more than {MAX_FILLED_IN} bytes result from the template \"{template}\"");
        return Err(Problem::at(at, message).hint("insert fewer or shorter cells"));
    }
    rendered.map_err(|error| broken(&error))?;
    let value = String::from_utf8_lossy(&out.bytes).into_owned();
    Ok(Text { value, origin: origin.unwrap_or_else(|| at.clone()) })
}

fn cells(row: &Row) -> BTreeMap<&str, &str> {
    row.texts().collect()
}

fn check_size(template: &str, at: &Origin) -> Result<(), Problem> {
    if template.len() > MAX_TEMPLATE {
        let message = format!("the template has {} bytes; the limit is {MAX_TEMPLATE}", template.len());
        return Err(Problem::at(at, message).hint("write {{ row.COLUMN }} for the cell in that column"));
    }
    let statements =
        template.split("{%").skip(1).map(|rest| rest.trim_start_matches(['-', '+']).trim_start());
    for statement in statements {
        let word = statement.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !STATEMENTS.contains(&word) {
            return Err(Problem::at(
                at,
                format!("the template \"{template}\" uses {{% {word} %}}, which is not supported"),
            )
            .hint("test and insert cells only; a template cannot define values"));
        }
    }
    // A comment may contain quotes and braces, so code after it could not be distinguished from the
    // comment.
    if template.contains("{#") {
        let message = format!("the template \"{template}\" contains a comment");
        return Err(Problem::at(at, message).hint("write the comment outside the template"));
    }
    match multiplies(template) {
        true => Err(Problem::at(at, format!("the template \"{template}\" uses *, which is not supported"))
            .hint("test and insert cells only")),
        false => Ok(()),
    }
}

/// Returns true if the code of a template contains an asterisk outside of quotes.
///
/// `[0] * 100000000` is one instruction.
fn multiplies(template: &str) -> bool {
    let (mut rest, mut in_code, mut quote) = (template, false, None);
    while let Some(c) = rest.chars().next() {
        let pair = rest.get(..2).unwrap_or_default();
        rest = &rest[c.len_utf8()..];
        match (in_code, quote) {
            (false, _) => in_code = ["{{", "{%"].contains(&pair),
            (true, None) if c == '*' => return true,
            (true, None) if ["}}", "%}"].contains(&pair) => in_code = false,
            (true, None) => quote = Some(c).filter(|c| matches!(c, '"' | '\'')),
            (true, Some(_)) if c == '\\' => {
                rest = rest.chars().next().map_or("", |escaped| &rest[escaped.len_utf8()..]);
            }
            (true, Some(open)) => quote = Some(open).filter(|open| *open != c),
        }
    }
    false
}

/// The output so far, up to a limit.
#[derive(Default)]
struct Filled {
    bytes: Vec<u8>,
    is_full: bool,
}

impl std::io::Write for Filled {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_FILLED_IN {
            self.is_full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
