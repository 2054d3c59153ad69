//! Values that an expression makes of others, within a fixed amount of work. What is undefined is an error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
/// Items, and bytes of text, that the filters of one evaluation may go through and make.
const MAX_FILTERED: usize = 2 << 20;
/// Bytes that the joins of one evaluation may copy: each copies what those before it have made.
const MAX_JOINED: usize = 128 << 20;

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
        environment().compile_expression(&self.text).map(drop).map_err(|error| self.broken(&error))
    }

    /// What it makes of its inputs at an instant.
    ///
    /// # Errors
    /// When an input has no value, something in it is undefined, or it takes too much work.
    pub(super) fn evaluate(&self, at: Instant) -> Result<Evaluated, Problem> {
        let mut known: BTreeMap<&str, Jinja> = BTreeMap::new();
        let mut until: Option<Instant> = None;
        let mut size = 0;
        for (name, definition) in &self.inputs {
            let evaluated = definition.evaluate(at).map_err(|problem| problem.about(name))?;
            until = [until, evaluated.until].into_iter().flatten().min();
            let value = evaluated.wanted.to_json();
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
            return Err(self.broken(&Error::new(ErrorKind::OutOfFuel, "it joins too much")));
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
        if without_texts(&self.text).contains("{{") {
            return problem.hint("write row.COLUMN for a cell, without braces");
        }
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

/// What is left of the work that the filters of one evaluation may do. The engine's own fuel counts instructions, and a
/// filter is one of them, whatever it is given.
#[derive(Clone)]
struct Work(Arc<AtomicUsize>);

impl Work {
    fn spend(&self, amount: usize) -> Result<(), Error> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
        left.map(drop).map_err(|_| Error::new(ErrorKind::OutOfFuel, "its filters go through too much"))
    }

    fn text(&self, text: String) -> Result<String, Error> {
        self.spend(text.len()).map(|()| text)
    }

    fn items(&self, value: &Jinja) -> Result<Vec<Jinja>, Error> {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                self.spend(value.len().unwrap_or(MAX_OUT))?;
                Ok(value.try_iter()?.take(MAX_OUT).collect())
            }
            kind => Err(Error::new(ErrorKind::InvalidOperation, format!("this is {kind} and no list"))),
        }
    }
}

/// What expressions know: the operators, and filters that share a fixed amount of work.
fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    let work = Work(Arc::new(AtomicUsize::new(MAX_FILTERED)));
    let with = || work.clone();
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
    let of = with();
    environment.add_filter("first", move |value: Jinja| {
        of.items(&value).map(|items| items.into_iter().next().unwrap_or_default())
    });
    let of = with();
    environment.add_filter("last", move |value: Jinja| {
        of.items(&value).map(|items| items.into_iter().last().unwrap_or_default())
    });
    let of = with();
    environment.add_filter("upper", move |text: String| of.text(text).map(|text| text.to_uppercase()));
    let of = with();
    environment.add_filter("lower", move |text: String| of.text(text).map(|text| text.to_lowercase()));
    environment.add_filter("int", |text: String| {
        let number = text.trim().parse::<i64>();
        number.map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("\"{text}\" is no whole number")))
    });
    let of = with();
    environment.add_filter("split", move |text: String, at: String| {
        let text = of.text(text)?;
        Ok::<_, Error>(text.split(&at).map(|part| part.trim().to_owned()).collect::<Vec<_>>())
    });
    let of = with();
    environment.add_filter("replace", move |text: String, from: String, to: String| {
        of.spend(text.len() + text.matches(&from).count() * to.len())?;
        Ok::<_, Error>(text.replace(&from, &to))
    });
    let of = with();
    environment.add_filter("join", move |value: Jinja, between: String| {
        let texts: Vec<String> = of.items(&value)?.iter().map(ToString::to_string).collect();
        of.spend(texts.iter().map(|text| text.len() + between.len()).sum())?;
        Ok::<_, Error>(texts.join(&between))
    });
    let of = with();
    environment.add_filter("pluck", move |value: Jinja, key: String| {
        of.items(&value)?.iter().map(|item| item.get_attr(&key)).collect::<Result<Vec<_>, _>>()
    });
    let of = with();
    environment.add_filter("where", move |value: Jinja, conditions: Kwargs| {
        let names: Vec<String> = conditions.args().map(str::to_owned).collect();
        let mut kept = Vec::new();
        for item in of.items(&value)? {
            of.spend(names.len())?;
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

/// The values, and bytes of text, that JSON has.
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
            inputs: vec![
                input("open", json!(true)),
                input("sites", sites),
                input("nothing", Value::Null),
                input("long", json!("a".repeat(60_000))),
            ],
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
            ("{{ row.n }} + 1", "(hint: write row.COLUMN for a cell, without braces)"),
        ] {
            let problem = evaluate(text).unwrap_err();
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }

    #[test]
    fn what_makes_much_of_little_is_refused_and_what_people_write_of_long_texts_is_not() {
        let grows = format!("'x'{}", " | replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')".repeat(20));
        let joins = format!("long{}", " ~ long".repeat(500));
        let splits = format!("{}0", "(long | split('a') | length) + ".repeat(100));
        let between = "[long | split('a') | join(long), 'a'] | join('')";
        for text in [grows.as_str(), &joins, &splits, between] {
            let problem = evaluate(text).unwrap_err();
            assert!(problem.contains("too much"), "{text}: {problem}");
            assert!(problem.contains("(hint: it does too much; simplify it)"), "{text}: {problem}");
        }
        let shown = format!("(long | upper | length) + {}0", "(sites | length) + ".repeat(40));
        assert_eq!(evaluate(&shown), Ok(json!(60_080)));
    }
}
