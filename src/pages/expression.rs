//! Values computed by an expression, within a fixed amount of work.
//!
//! Use of an undefined value is an error.
//!
//! minijinja writes `True` and `None` into a text, and cannot be configured to refuse them as operands
//! of `~`: its formatter sees only output, and its undefined behavior only undefined values. A parsed
//! expression cannot be changed, so `with_checked_joins` adds a filter to each operand in the source.

use std::collections::BTreeMap;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value as Jinja};
use serde_json::Value;

use crate::limits::settings::{MAX_EXPRESSION, MAX_EXPRESSION_RESULT, MAX_JOINED};
use crate::model::{Instant, Problem, nearest};

use super::definition::{Evaluated, Expression, UntypedValue};
use super::filters::{FILTERS, Remedy, environment};

/// The most characters of an expression that a message quotes.
const QUOTED: usize = 120;

impl Expression {
    /// Checks that the expression can be parsed.
    ///
    /// # Errors
    /// The place of the first syntax error.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.text.len() > MAX_EXPRESSION {
            let message =
                format!("the expression has {} bytes; the limit is {MAX_EXPRESSION}", self.text.len());
            return Err(Problem::at(&self.origin, message).hint("split it over several variables"));
        }
        // One instruction could otherwise create a list of any length.
        if tokens(&self.text).any(|token| token == "*") {
            return Err(Problem::at(
                &self.origin,
                format!("the expression \"{}\" uses *, which is not supported", self.quoted()),
            )
            .hint("compare, choose and join values only"));
        }
        environment().compile_expression(&self.text).map(drop).map_err(|error| self.broken(&error))
    }

    /// Checks that all names in it are known: values, rows and their columns.
    ///
    /// # Errors
    /// The first unknown name.
    pub(crate) fn check_names(&self) -> Result<(), Problem> {
        let environment = environment();
        let compiled = environment.compile_expression(&self.text).map_err(|error| self.broken(&error))?;
        let mut known: Vec<String> = self.inputs.iter().map(|(name, _)| name.clone()).collect();
        for (row, cells) in &self.rows {
            known.push(row.clone());
            known.extend(cells.keys().map(|column| format!("{row}.{column}")));
        }
        let mut named: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        named.sort_unstable();
        match named.iter().find(|name| !self.knows(name, &known)) {
            Some(unknown) => Err(self.unknown(unknown, &known)),
            None => Ok(()),
        }
    }

    /// Returns true if a name is known.
    ///
    /// A row is known with its columns, any other value by its name alone.
    fn knows(&self, name: &str, known: &[String]) -> bool {
        let root = name.split_once('.').map_or(name, |(root, _)| root);
        let is_row = self.rows.contains_key(root) && root != name;
        let is_at =
            |known: &str| name == known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
        known.iter().any(|known| is_at(known) && (!is_row || known.as_str() != root))
    }

    fn unknown(&self, name: &str, known: &[String]) -> Problem {
        let message = format!("the expression \"{}\" uses the unknown name {name}", self.quoted());
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant}?"),
            None if self.text.contains(&format!("{name}(")) => {
                format!("there are no functions; the filters are: {}", FILTERS.join(", "))
            }
            None => "name its values under with = { … }".to_owned(),
        };
        Problem::at(&self.origin, message).hint(hint)
    }

    /// Returns the text for a message, shortened if it is long.
    fn quoted(&self) -> String {
        match self.text.char_indices().nth(QUOTED) {
            Some((end, _)) => format!("{}…", &self.text[..end]),
            None => self.text.clone(),
        }
    }

    /// Evaluates the expression at an instant.
    ///
    /// # Errors
    /// Fails if an input has no value, if a used value is undefined, or if it takes too much work.
    pub(crate) fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        let mut known: BTreeMap<&str, Jinja> = BTreeMap::new();
        let mut until: Option<Instant> = None;
        let mut size = 0;
        for (name, definition) in &self.inputs {
            let evaluated = definition.evaluate(at).map_err(|problem| problem.about(name))?;
            until = [until, evaluated.until].into_iter().flatten().min();
            let value = evaluated.value.to_json();
            size += size_of(&value);
            known.insert(name, jinja(&value));
        }
        for (name, cells) in &self.rows {
            size += cells.values().map(String::len).sum::<usize>();
            known
                .insert(name, object(cells.iter().map(|(column, text)| (column.clone(), Jinja::from(text)))));
        }
        let joins = self.text.matches(['~', '+']).count();
        if joins.saturating_mul(joins).saturating_mul(size) > MAX_JOINED {
            return Err(self.broken(&Error::new(ErrorKind::OutOfFuel, "it joins too much text")));
        }
        let environment = environment();
        let text = with_checked_joins(&self.text);
        let compiled = environment.compile_expression(&text).map_err(|error| self.broken(&error))?;
        let known = object(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let value = compiled.eval(known).map_err(|error| self.broken(&error))?;
        let mut room = MAX_EXPRESSION_RESULT;
        let value = plain(&value, &mut room).map_err(|what| {
            Problem::at(&self.origin, format!("the expression \"{}\" returns {what}", self.quoted()))
                .hint("name its values under with = { … }, or give a default: value or \"text\"")
        })?;
        Ok(Evaluated { value: UntypedValue::Json(value), origin: self.origin.clone(), until })
    }

    fn broken(&self, error: &Error) -> Problem {
        let message = format!("the expression \"{}\" fails: {error}", self.quoted());
        let problem = Problem::at(&self.origin, message);
        if self.text.contains("{{") {
            return problem.hint("write row.COLUMN for a cell, without braces");
        }
        let remedy = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Remedy>());
        match (remedy, error.kind()) {
            (Some(Remedy(remedy)), _) => problem.hint(*remedy),
            (None, ErrorKind::UndefinedError) => problem.hint("name its values under with = { … }"),
            (None, ErrorKind::OutOfFuel) => problem.hint("simplify the expression"),
            (None, ErrorKind::UnknownFilter) => {
                problem.hint(format!("the filters are: {}", FILTERS.join(", ")))
            }
            (None, ErrorKind::UnknownFunction) => {
                problem.hint(format!("there are no functions; the filters are: {}", FILTERS.join(", ")))
            }
            (None, ErrorKind::InvalidOperation) => {
                problem.hint(remedy_for(error.detail().unwrap_or_default()))
            }
            (None, _) => problem.hint("write an expression such as open and not holiday"),
        }
    }
}

/// Returns the hint for an error of the engine's own operators.
fn remedy_for(detail: &str) -> &'static str {
    if detail.contains("slice") {
        "slice only text or a list, with a step of at least one"
    } else if detail.starts_with("unable to calculate") {
        "avoid division by zero and numbers that are too large, as in a / b if b else 0"
    } else {
        "use ~ to join values to text, and | int to convert text to a number"
    }
}

/// Returns the expression with the filter `text_of` appended to each side of a `~`.
///
/// The engine itself would write True and None. A filter binds tighter than any operator, so it
/// checks only the last operand of a side; the result of an operator is a number.
fn with_checked_joins(text: &str) -> String {
    const CHECK: &str = " | text_of ";
    const ENDS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];
    let mut out = String::with_capacity(text.len());
    // For each open bracket: true while the right side of a `~` continues.
    let mut joins = vec![false];
    let (mut is_operand, mut is_attribute) = (false, false);
    for token in tokens(text) {
        let is_word = token.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let is_end = match token {
            "~" | "," | ":" | "<" | ">" | "=" | "!" | "+" | ")" | "]" | "}" => true,
            "-" => is_operand,
            word => ENDS.contains(&word) && !is_attribute,
        };
        let is_joined = joins.last_mut().is_some_and(|joins| is_end && std::mem::take(joins));
        if is_joined || token == "~" {
            out.push_str(CHECK);
        }
        match token {
            "(" | "[" | "{" => joins.push(false),
            ")" | "]" | "}" if joins.len() > 1 => drop(joins.pop()),
            "~" => {
                if let Some(joins) = joins.last_mut() {
                    *joins = true;
                }
            }
            _ => {}
        }
        if !token.trim().is_empty() {
            let closes = matches!(token, ")" | "]" | "}") || token.starts_with(['"', '\'']);
            (is_operand, is_attribute) = (closes || (is_word && !is_end), token == ".");
        }
        out.push_str(token);
    }
    if joins == [true] {
        out.push_str(CHECK);
    }
    out
}

/// Splits an expression into quoted texts, words and numbers, and single other characters.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            '"' | '\'' => end_of_text(rest, first),
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, left) = rest.split_at(length);
        rest = left;
        Some(token)
    })
}

/// Returns the end of a quoted text, closing quote included.
fn end_of_text(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Returns the size of JSON: the number of values, plus the bytes of text.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => items.iter().map(size_of).sum::<usize>() + 1,
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| key.len() + size_of(value)).sum::<usize>() + 1
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

fn object(entries: impl Iterator<Item = (String, Jinja)>) -> Jinja {
    Jinja::from_object(entries.collect::<BTreeMap<String, Jinja>>())
}

/// Converts JSON to a minijinja value.
///
/// Serde would convert a number that keeps its text to an object.
fn jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Jinja::from(whole),
            (None, float) => Jinja::from(float.unwrap_or_default()),
        },
        Value::String(text) => Jinja::from(text),
        Value::Array(items) => items.iter().map(jinja).collect(),
        Value::Object(entries) => object(entries.iter().map(|(key, value)| (key.clone(), jinja(value)))),
    }
}

/// Converts a value to JSON; minijinja itself would turn undefined values into null.
fn plain(value: &Jinja, room: &mut usize) -> Result<Value, &'static str> {
    let size = 1 + value.as_str().map_or(0, str::len);
    *room = room.checked_sub(size).ok_or("a value that is too large")?;
    match value.kind() {
        ValueKind::Undefined => Err("an undefined value"),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map_err(|_| "an invalid list")?.map(|item| plain(&item, room)).collect()
        }
        ValueKind::Map => {
            let keys = value.try_iter().map_err(|_| "an invalid object")?;
            let entry = |key: Jinja| {
                let item = value.get_item(&key).map_err(|_| "an object without a value")?;
                Ok((key.to_string(), plain(&item, room)?))
            };
            keys.map(entry).collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        // A number too large to be distinguished from infinity would become null.
        ValueKind::Number if f64::try_from(value.clone()).is_ok_and(|number| !number.is_finite()) => {
            Err("a number that is too large")
        }
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            serde_json::to_value(value).map_err(|_| "a value that JSON cannot represent")
        }
        _ => Err("a value that JSON cannot represent"),
    }
}

#[cfg(test)]
mod tests;
