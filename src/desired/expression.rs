//! Values that an expression makes of others, within a fixed amount of work. What is undefined is an error.

use std::collections::BTreeMap;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as Jinja};
use serde_json::Value;

use crate::model::{Instant, Origin, Problem};

use super::definition::{Definition, Evaluated, Wanted};

/// Instructions that one evaluation may run.
const FUEL: u64 = 20_000;
/// Bytes that an expression may have.
pub(super) const MAX_EXPRESSION: usize = 4_096;
/// Values, and bytes of text, that may come out of one.
const MAX_OUT: usize = 64 << 10;

/// An expression and what it rests on.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Its text.
    pub(super) text: String,
    /// The values that it knows by name.
    pub(super) inputs: Vec<(String, Definition)>,
    /// The rows that it knows by name, with their cells.
    pub(super) rows: BTreeMap<String, BTreeMap<String, String>>,
    /// Where it stands.
    pub(super) origin: Origin,
}

impl Expression {
    /// Whether it can be read at all.
    ///
    /// # Errors
    /// Where it stops making sense.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.text.len() > MAX_EXPRESSION {
            let message =
                format!("an expression of {} bytes; at most {MAX_EXPRESSION} are read", self.text.len());
            return Err(Problem::at(&self.origin, message).hint("split it over several variables"));
        }
        // One instruction could otherwise make a list of any length.
        if without_texts(&self.text).contains('*') {
            return Err(Problem::at(&self.origin, format!("the expression \"{}\" multiplies", self.text))
                .hint("an expression compares, chooses and joins values"));
        }
        let environment = environment();
        environment.compile_expression(&self.text).map(drop).map_err(|error| self.broken(&error))
    }

    /// What it makes of its inputs at an instant.
    ///
    /// # Errors
    /// When an input has no value, something in it is undefined, or it takes too much work.
    pub(super) fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        let mut known: BTreeMap<&str, Jinja> = BTreeMap::new();
        let mut until: Option<Instant> = None;
        for (name, definition) in &self.inputs {
            let evaluated = definition.evaluate(at).map_err(|problem| problem.about(name))?;
            until = [until, evaluated.until].into_iter().flatten().min();
            known.insert(name, jinja(&evaluated.wanted.to_json()));
        }
        for (name, cells) in &self.rows {
            known
                .insert(name, object(cells.iter().map(|(column, text)| (column.clone(), Jinja::from(text)))));
        }
        let environment = environment();
        let compiled = environment.compile_expression(&self.text).map_err(|error| self.broken(&error))?;
        let known = object(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let value = compiled.eval(known).map_err(|error| self.broken(&error))?;
        let mut room = MAX_OUT;
        let value = plain(&value, &mut room).map_err(|what| {
            Problem::at(&self.origin, format!("the expression \"{}\" gives {what}", self.text))
                .hint("name its values under with = { … }, or give a default: value or \"text\"")
        })?;
        Ok(Evaluated { wanted: Wanted::Json(value), origin: self.origin.clone(), until })
    }

    fn broken(&self, error: &Error) -> Problem {
        let mut problem =
            Problem::at(&self.origin, format!("the expression \"{}\" fails: {error}", self.text));
        if error.kind() == ErrorKind::UndefinedError {
            problem = problem.hint("name its values under with = { … }");
        } else if error.kind() == ErrorKind::OutOfFuel {
            problem = problem.hint("it does too much; simplify it");
        } else if error.kind() == ErrorKind::UnknownFilter {
            problem = problem.hint(format!("the filters are: {}", FILTERS.join(", ")));
        } else if error.kind() == ErrorKind::UnknownFunction {
            problem =
                problem.hint(format!("there are no functions; the filters are: {}", FILTERS.join(", ")));
        } else if error.kind() == ErrorKind::InvalidOperation {
            problem = problem.hint("~ joins values to text, and | int makes a number of text");
        } else {
            problem = problem.hint("write an expression such as open and not holiday");
        }
        problem
    }
}

/// The expression without what stands in quotes.
fn without_texts(text: &str) -> String {
    let (mut left, mut quote, mut escaped) = (String::new(), None, false);
    for c in text.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None => left.push(c),
        }
    }
    left
}

const FILTERS: [&str; 12] = [
    "default", "first", "int", "join", "last", "length", "lower", "pluck", "replace", "split", "upper",
    "where",
];

/// What expressions know: the operators, and filters of which none makes much of little.
fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter(
        "default",
        |value: Jinja, other: Jinja| {
            if value.is_undefined() || value.is_none() { other } else { value }
        },
    );
    environment.add_filter("length", |value: Jinja| {
        value.len().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "this has no length"))
    });
    environment.add_filter("first", |value: Jinja| {
        items(&value).map(|items| items.into_iter().next().unwrap_or_default())
    });
    environment.add_filter("last", |value: Jinja| {
        items(&value).map(|items| items.into_iter().last().unwrap_or_default())
    });
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("int", |text: String| {
        let number = text.trim().parse::<i64>();
        number.map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("\"{text}\" is no whole number")))
    });
    environment.add_filter("split", |text: String, at: String| {
        text.split(&at).map(|part| part.trim().to_owned()).collect::<Vec<_>>()
    });
    environment.add_filter("replace", |text: String, from: String, to: String| {
        // Longer than what it replaces it would grow with every use.
        match to.len() > from.len().max(64) || from.is_empty() {
            true => Err(Error::new(ErrorKind::InvalidOperation, "replace puts a long text for a short one")),
            false => Ok(text.replace(&from, &to)),
        }
    });
    environment.add_filter("join", |value: Jinja, between: String| {
        let texts: Vec<String> = items(&value)?.iter().map(ToString::to_string).collect();
        Ok::<_, Error>(texts.join(&between))
    });
    environment.add_filter("pluck", |value: Jinja, key: String| {
        items(&value)?.iter().map(|item| item.get_attr(&key)).collect::<Result<Vec<_>, _>>()
    });
    environment.add_filter("where", |value: Jinja, conditions: Kwargs| {
        let names: Vec<String> = conditions.args().map(str::to_owned).collect();
        let mut kept = Vec::new();
        for item in items(&value)? {
            let mut meets = true;
            for name in &names {
                meets &= item.get_attr(name)? == conditions.get::<Jinja>(name)?;
            }
            kept.extend(meets.then_some(item));
        }
        Ok::<_, Error>(kept)
    });
    environment
}

fn items(value: &Jinja) -> Result<Vec<Jinja>, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Ok(value.try_iter()?.take(MAX_OUT).collect()),
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("this is {kind} and no list"))),
    }
}

fn object(entries: impl Iterator<Item = (String, Jinja)>) -> Jinja {
    Jinja::from_object(entries.collect::<BTreeMap<String, Jinja>>())
}

/// JSON as minijinja knows it. Not by serde, which would make an object of a number whose text is kept.
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

/// The value as JSON; minijinja itself would turn what is undefined into null.
fn plain(value: &Jinja, room: &mut usize) -> Result<Value, &'static str> {
    let size = 1 + value.as_str().map_or(0, str::len);
    *room = room.checked_sub(size).ok_or("too much")?;
    match value.kind() {
        ValueKind::Undefined => Err("something undefined"),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map_err(|_| "no list after all")?.map(|item| plain(&item, room)).collect()
        }
        ValueKind::Map => {
            let keys = value.try_iter().map_err(|_| "no object after all")?;
            let entry = |key: Jinja| {
                let item = value.get_item(&key).map_err(|_| "an object without a value")?;
                Ok((key.to_string(), plain(&item, room)?))
            };
            keys.map(entry).collect::<Result<serde_json::Map<_, _>, _>>().map(Value::Object)
        }
        // What is too large to be told from infinity would become null.
        ValueKind::Number if f64::try_from(value.clone()).is_ok_and(|number| !number.is_finite()) => {
            Err("a number that is too large")
        }
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            serde_json::to_value(value).map_err(|_| "a value that JSON has not")
        }
        _ => Err("a value that JSON has not"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn evaluate(text: &str) -> Result<Value, String> {
        let origin = Origin::line(&"rtconfd.toml".into(), 3);
        let sites = json!([{"name": "Leeds", "open": true}, {"name": "York", "open": false}]);
        let input = |name: &str, value: Value| {
            (name.to_owned(), Definition::Constant { value, origin: origin.clone() })
        };
        let cells = [("phone".to_owned(), "0113".to_owned())].into();
        let expression = Expression {
            text: text.to_owned(),
            inputs: vec![input("open", json!(true)), input("sites", sites), input("nothing", Value::Null)],
            rows: [("row".to_owned(), cells)].into(),
            origin: origin.clone(),
        };
        let at = "2026-11-26T12:00:00Z".parse().unwrap();
        let value = expression.check().and_then(|()| expression.evaluate(at));
        value.map(|evaluated| evaluated.wanted.to_json()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_expression_makes_json_of_values_and_cells() {
        for (text, wanted) in [
            ("open and row.phone == '0113'", json!(true)),
            ("'We are open.' if open else 'We are closed.'", json!("We are open.")),
            ("{'open': open, 'tags': ['a', row.phone ~ 'x']}", json!({"open": true, "tags": ["a", "0113x"]})),
            ("sites | where(open=true) | pluck('name') | join(', ')", json!("Leeds")),
            ("sites | length + 1", json!(3)),
            ("(row.phone | int) - 1", json!(112)),
            ("nothing | default('none')", json!("none")),
            ("'a-b' | split('-') | last | upper", json!("B")),
        ] {
            assert_eq!(evaluate(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_a_remedy() {
        for (text, told) in [
            (
                "opne",
                "rtconfd.toml:3: the expression \"opne\" gives something undefined (hint: name its values under with",
            ),
            ("{'a': [opne]}", "gives something undefined"),
            ("1e400", "gives a number that is too large"),
            ("[-1e400]", "gives a number that is too large"),
            ("row.fax", "gives something undefined"),
            ("opne.x", "undefined value (in <expression>:1) (hint: name its values under with"),
            ("open and", "fails: syntax error"),
            ("open | shout", "(hint: the filters are: default, first,"),
            ("[0] * 100000000", "multiplies"),
            (
                "'x' | replace('x', '1234567890123456789012345678901234567890123456789012345678901234567890')",
                "a long text",
            ),
        ] {
            let problem = evaluate(text).unwrap_err();
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }
}
