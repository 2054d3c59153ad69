//! The filters that expressions can use, and the limit of the work that they do together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as Jinja};

use crate::limits::settings::{EXPRESSION_FUEL, MAX_EXPRESSION_RESULT, MAX_FILTERED};

/// The names of the filters, for messages.
pub(super) const FILTERS: [&str; 12] = [
    "default", "first", "int", "join", "last", "length", "lower", "pluck", "replace", "split", "upper",
    "where",
];

/// The work that is left for the filters of one evaluation.
///
/// The engine's own fuel counts instructions. A filter is a single instruction, whatever its input.
#[derive(Clone)]
struct Work(Arc<AtomicUsize>);

impl Work {
    fn spend(&self, amount: usize) -> Result<(), Error> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
        left.map(drop).map_err(|_| Error::new(ErrorKind::OutOfFuel, "its filters process too much"))
    }

    fn text(&self, value: &Jinja) -> Result<String, Error> {
        let text = text_of(value)?;
        self.spend(text.len()).map(|()| text)
    }

    fn items(&self, value: &Jinja) -> Result<Vec<Jinja>, Error> {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                self.spend(value.len().unwrap_or(MAX_EXPRESSION_RESULT))?;
                let items: Vec<Jinja> = value.try_iter()?.take(MAX_EXPRESSION_RESULT).collect();
                match items.iter().any(Jinja::is_undefined) {
                    true => Err(Error::new(ErrorKind::UndefinedError, "an item of the list is undefined")),
                    false => Ok(items),
                }
            }
            _ => Err(wrong(
                format!("{} is not a list", kind_of(value)),
                "use join, pluck, where, first and last on lists only",
            )),
        }
    }
}

/// Returns the environment of expressions.
///
/// It has operators, and filters that share a fixed budget of work.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(EXPRESSION_FUEL));
    environment.add_filter(
        "default",
        |value: Jinja, other: Jinja| {
            if value.is_undefined() || value.is_none() { other } else { value }
        },
    );
    environment.add_filter("text_of", |value: Jinja| reported(&value).map(|()| value));
    environment.add_filter("int", |value: Jinja| {
        let text = text_of(&value)?;
        let number = text.trim().parse::<i64>();
        number.map_err(|_| {
            wrong(format!("\"{text}\" is not a whole number"), "apply | int to text such as '12'")
        })
    });
    let work = Work(Arc::new(AtomicUsize::new(MAX_FILTERED)));
    add_those_of_text(&mut environment, &work);
    add_those_of_lists(&mut environment, &work);
    environment
}

fn add_those_of_text(environment: &mut Environment, work: &Work) {
    let of = work.clone();
    environment.add_filter("upper", move |value: Jinja| of.text(&value).map(|text| text.to_uppercase()));
    let of = work.clone();
    environment.add_filter("lower", move |value: Jinja| of.text(&value).map(|text| text.to_lowercase()));
    let of = work.clone();
    environment.add_filter("split", move |value: Jinja, at: Jinja| {
        let (text, at) = (of.text(&value)?, text_of(&at)?);
        Ok::<_, Error>(text.split(&at).map(|part| part.trim().to_owned()).collect::<Vec<_>>())
    });
    let of = work.clone();
    environment.add_filter("replace", move |value: Jinja, from: Jinja, to: Jinja| {
        let (text, from, to) = (text_of(&value)?, text_of(&from)?, text_of(&to)?);
        of.spend(text.len() + text.matches(&from).count() * to.len())?;
        Ok::<_, Error>(text.replace(&from, &to))
    });
}

fn add_those_of_lists(environment: &mut Environment, work: &Work) {
    let of = work.clone();
    environment.add_filter("length", move |value: Jinja| match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => of.items(&value).map(|items| items.len()),
        _ => value.len().ok_or_else(|| {
            wrong(format!("{} has no length", kind_of(&value)), "use length on text, lists and objects only")
        }),
    });
    let of = work.clone();
    environment.add_filter("first", move |value: Jinja| {
        of.items(&value).map(|items| items.into_iter().next().unwrap_or_default())
    });
    let of = work.clone();
    environment.add_filter("last", move |value: Jinja| {
        of.items(&value).map(|items| items.into_iter().last().unwrap_or_default())
    });
    let of = work.clone();
    environment.add_filter("join", move |value: Jinja, between: Jinja| {
        let between = text_of(&between)?;
        let texts = of.items(&value)?.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        of.spend(texts.iter().map(|text| text.len() + between.len()).sum())?;
        Ok::<_, Error>(texts.join(&between))
    });
    let of = work.clone();
    environment.add_filter("pluck", move |value: Jinja, key: String| {
        of.items(&value)?.iter().map(|item| field(item, &key)).collect::<Result<Vec<_>, _>>()
    });
    let of = work.clone();
    environment
        .add_filter("where", move |value: Jinja, conditions: Kwargs| meeting(&of, &value, &conditions));
}

/// Returns the items of a list whose fields meet the conditions.
fn meeting(of: &Work, value: &Jinja, conditions: &Kwargs) -> Result<Vec<Jinja>, Error> {
    let mut criteria: Vec<(&str, Jinja)> = Vec::new();
    for name in conditions.args() {
        criteria.push((name, conditions.get(name)?));
    }
    if criteria.iter().any(|(_, value)| value.is_undefined()) {
        return Err(Error::new(ErrorKind::UndefinedError, "a value that where compares with is undefined"));
    }
    let mut kept = Vec::new();
    for item in of.items(value)? {
        of.spend(criteria.len())?;
        let mut meets = true;
        for (name, value) in &criteria {
            meets &= field(&item, name)? == *value;
        }
        kept.extend(meets.then_some(item));
    }
    Ok(kept)
}

/// Returns a field of an item of a list.
fn field(item: &Jinja, name: &str) -> Result<Jinja, Error> {
    let value = item.get_attr(name)?;
    match value.is_undefined() {
        true => Err(wrong(
            format!("an item of the list has no \"{name}\""),
            "correct the name, or give every item that field",
        )),
        false => Ok(value),
    }
}

/// Checks that a value can be a part of a text.
fn reported(value: &Jinja) -> Result<(), Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number => Ok(()),
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::Seq | ValueKind::Iterable => {
            Err(wrong("a list cannot be part of a text", "join its items: list | join(', ')"))
        }
        _ => Err(wrong(
            format!("{} cannot be part of a text", kind_of(value)),
            "write the text for it, as in 'yes' if value else 'no'",
        )),
    }
}

/// Converts a value to text. The engine itself would write "None" and "True".
fn text_of(value: &Jinja) -> Result<String, Error> {
    reported(value).map(|()| value.to_string())
}

/// Returns the kind of a value, in the terms of JSON.
fn kind_of(value: &Jinja) -> &'static str {
    match value.kind() {
        ValueKind::None => "null",
        ValueKind::Bool if value.is_true() => "true",
        ValueKind::Bool => "false",
        ValueKind::Number => "a number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "an object",
        _ => "this",
    }
}

/// The hint for an error that one of our own filters reports.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Remedy(pub &'static str);

fn wrong(what: impl Into<std::borrow::Cow<'static, str>>, remedy: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what).with_source(Remedy(remedy))
}
