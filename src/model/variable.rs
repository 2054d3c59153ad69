//! A place on a page that we own: a key, or a path below one through objects, positions and named
//! items of arrays.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// A place on a page: a top-level key, or a JSON Pointer (RFC 6901) below one.
///
/// A step `[field=value]` after the name of an array denotes the item whose field has that value:
/// `/site_hours[site_name=Leeds]/hours`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    key: String,
    below: Vec<Step>,
}

/// One step of the path to a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// A key of an object, or a position in an array.
    Key(String),
    /// The item of an array whose field has a value.
    Item {
        /// The field.
        field: String,
        /// Its value, as text.
        value: String,
    },
}

/// The handling of an item that is missing from an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Reports an error.
    #[default]
    Refuse,
    /// Creates it, at the end.
    Create,
}

/// The reason why a value cannot be written to its place.
///
/// An item is identified by its field and the value of that field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// A key is used on a value that is not an object.
    #[error("\"{0}\" would be set in a value that is not an object")]
    NoObject(String),
    /// An item is used on a value that is not an array.
    #[error("the item with {0} = \"{1}\" would be in a value that is not an array")]
    NoArray(String, String),
    /// The array has no such item.
    #[error("the array on the page has no item with {0} = \"{1}\"")]
    NoItem(String, String),
    /// The array has no item at this position.
    #[error("the array on the page has no item \"{0}\"")]
    NoPosition(String),
    /// Several items match.
    #[error("the array on the page has several items with {0} = \"{1}\"")]
    Several(String, String),
    /// The value removes the field by which the item is found.
    #[error("the item with {0} = \"{1}\" would lose its {0}")]
    Lost(String, String),
}

impl Blocked {
    /// Returns the suggested fix.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoObject(_) => "make it an object on the page, or own the whole key",
            Self::NoArray(..) => "make it an array on the page, or own the whole key",
            Self::NoItem(..) => {
                "correct the page, own the whole key, or set create_items = true to create missing items"
            }
            Self::NoPosition(_) => {
                "correct the page or the name; a created item needs a field, as in /array[field=value]/key"
            }
            Self::Several(..) => "remove all but one of them from the page, or pick it by another field",
            Self::Lost(..) => "give the value that field too, or own single keys of the item",
        }
    }
}

impl Step {
    /// Returns the key, if the step is one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Item { .. } => None,
        }
    }

    /// Returns true if two steps may lead to the same place.
    fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => a == b,
            (Self::Item { field, value }, Self::Item { field: other_field, value: other }) => {
                field != other_field || value == other
            }
            (Self::Item { .. }, Self::Key(key)) | (Self::Key(key), Self::Item { .. }) => {
                position(key).is_some()
            }
        }
    }
}

/// Parses a position in an array as in RFC 6901, so that each has only one name.
pub fn position(key: &str) -> Option<usize> {
    let is_plain = key == "0" || key.starts_with(|first: char| ('1'..='9').contains(&first));
    key.parse().ok().filter(|_| is_plain)
}

/// A cache of the positions of items in a page's arrays.
///
/// Use it to read or write many variables of a page in sequence. Without it, an array would be
/// scanned for each of its items.
#[derive(Debug, Default)]
pub struct Places(HashMap<(Variable, String), Items>);

/// The known positions of an array's items, by one of their fields.
#[derive(Debug)]
enum Items {
    /// One item was looked up; the next lookup builds the index.
    AskedFor,
    /// The positions by the field's value; none where several items have it.
    Indexed(HashMap<String, Option<usize>>),
}

impl Places {
    /// Returns the position of the item that a step denotes in an array.
    fn find(
        &mut self,
        (array, items): (Variable, &[Value]),
        (field, value): (&str, &str),
    ) -> Result<Option<usize>, Blocked> {
        let several = || Blocked::Several(field.to_owned(), value.to_owned());
        match self.0.entry((array, field.to_owned())) {
            Entry::Vacant(unknown) => {
                unknown.insert(Items::AskedFor);
                let is_meant = |item: &Value| shown(item, field).is_some_and(|found| found == value);
                let mut found = items.iter().enumerate().filter(|(_, item)| is_meant(item));
                let first = found.next().map(|(index, _)| index);
                if found.next().is_some() { Err(several()) } else { Ok(first) }
            }
            Entry::Occupied(mut known) => {
                if matches!(known.get(), Items::AskedFor) {
                    known.insert(Items::Indexed(indexed(items, field)));
                }
                let Items::Indexed(index) = known.get() else { return Ok(None) };
                index.get(value).map(|index| index.ok_or_else(several)).transpose()
            }
        }
    }

    /// Records that an item was created at a position.
    fn made(&mut self, array: Variable, (field, value): (&str, &str), position: usize) {
        if let Some(Items::Indexed(index)) = self.0.get_mut(&(array, field.to_owned())) {
            index.insert(value.to_owned(), Some(position));
        }
    }

    /// Discards the index of a field, because an item's value changed.
    fn changed(&mut self, array: Variable, field: &str) {
        self.0.remove(&(array, field.to_owned()));
    }
}

fn indexed(items: &[Value], field: &str) -> HashMap<String, Option<usize>> {
    let mut index = HashMap::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        if let Some(value) = shown(item, field) {
            index.entry(value.into_owned()).and_modify(|known| *known = None).or_insert(Some(position));
        }
    }
    index
}

/// Returns the value of an item's field as written in a variable name.
fn shown<'a>(item: &'a Value, field: &str) -> Option<Cow<'a, str>> {
    match item.get(field)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Borrowed(number.as_str())),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Variable {
    /// Returns the top-level key that is sent when this variable changes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns true for a top-level key.
    ///
    /// No value of another client is sent with it then.
    pub fn is_whole(&self) -> bool {
        self.below.is_empty()
    }

    /// Returns the steps from the page to the value, the key first.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        std::iter::once(Step::Key(self.key.clone())).chain(self.below.iter().cloned())
    }

    /// Returns the place of one of its parts.
    pub fn part(&self, step: Step) -> Self {
        Self { key: self.key.clone(), below: self.below.iter().cloned().chain([step]).collect() }
    }

    /// Returns the place of the object or array that contains it; none for a top-level key.
    pub fn parent(&self) -> Option<Self> {
        self.below.len().checked_sub(1).map(|depth| self.above(depth))
    }

    /// Returns true if one may contain the other, so that both cannot be owned.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.key == other.key && self.below.iter().zip(&other.below).all(|(a, b)| a.may_meet(b))
    }

    /// Returns the value at this place, if the page has one.
    pub fn read<'a>(&self, page: &'a Map<String, Value>) -> Option<&'a Value> {
        self.read_at(page, &mut Places::default())
    }

    /// Returns the same as [`Self::read`], sharing an index of the page's arrays between variables.
    pub fn read_at<'a>(&self, page: &'a Map<String, Value>, places: &mut Places) -> Option<&'a Value> {
        let mut value = page.get(&self.key)?;
        for (depth, step) in self.below.iter().enumerate() {
            value = match value {
                Value::Object(object) => object.get(step.key()?)?,
                Value::Array(items) => items.get(self.position(depth, items, places).ok()??)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Returns the steps of the JSON Pointer to this place, starting with the key.
    ///
    /// Returns none if the page does not have the place.
    pub fn pointer(&self, page: &Map<String, Value>, places: &mut Places) -> Option<Vec<String>> {
        let mut steps = vec![self.key.clone()];
        let mut value = page.get(&self.key);
        for (depth, step) in self.below.iter().enumerate() {
            let (name, next) = match value {
                Some(Value::Array(items)) => {
                    let index = self.position(depth, items, places).ok()??;
                    (index.to_string(), items.get(index))
                }
                Some(value) => (step.key()?.to_owned(), value.get(step.key()?)),
                None => return None,
            };
            steps.push(name);
            value = next;
        }
        Some(steps)
    }

    /// Returns the position that a step denotes in the array that contains it.
    fn position(&self, depth: usize, items: &[Value], places: &mut Places) -> Result<Option<usize>, Blocked> {
        match &self.below[depth] {
            Step::Key(key) => Ok(position(key).filter(|index| *index < items.len())),
            Step::Item { field, value } => places.find((self.above(depth), items), (field, value)),
        }
    }

    /// Returns the place that the first `depth` steps lead to.
    fn above(&self, depth: usize) -> Self {
        Self { key: self.key.clone(), below: self.below[..depth].to_vec() }
    }

    /// Returns the first array of which this place is an item or is inside one.
    ///
    /// Also returns the field and the value that identify the item.
    pub fn item(&self) -> Option<(Self, &str, &str)> {
        self.below.iter().enumerate().find_map(|(depth, step)| match step {
            Step::Item { field, value } => Some((self.above(depth), field.as_str(), value.as_str())),
            Step::Key(_) => None,
        })
    }

    /// Writes a value to this place.
    ///
    /// Missing objects on the way are created; missing items of arrays only if `missing` says so.
    ///
    /// # Errors
    /// Fails with the place that is in the way, or the missing item.
    pub fn write(
        &self,
        page: &mut Map<String, Value>,
        value: Value,
        missing: Missing,
        places: &mut Places,
    ) -> Result<(), Blocked> {
        let mut slot = page.entry(self.key.clone()).or_insert(Value::Null);
        for (depth, step) in self.below.iter().enumerate() {
            if slot.is_null() {
                *slot = match step {
                    Step::Key(_) => Value::Object(Map::new()),
                    Step::Item { .. } => Value::Array(Vec::new()),
                };
            }
            slot = match (slot, step) {
                (Value::Object(object), Step::Key(key)) => object.entry(key.clone()).or_insert(Value::Null),
                (Value::Array(items), _) => self.item_in(depth, items, missing, places)?,
                (_, Step::Key(key)) => return Err(Blocked::NoObject(key.clone())),
                (_, Step::Item { field, value }) => {
                    return Err(Blocked::NoArray(field.clone(), value.clone()));
                }
            };
        }
        *slot = value;
        if let [above @ .., Step::Item { field, .. }, Step::Key(key)] = self.below.as_slice()
            && key != field
        {
            places.changed(self.above(above.len()), key);
        }
        match self.lost_item(page, places) {
            Some((field, value)) => Err(Blocked::Lost(field.to_owned(), value.to_owned())),
            None => Ok(()),
        }
    }

    /// Returns the item that a step denotes in an array, created if `missing` says so.
    fn item_in<'a>(
        &self,
        depth: usize,
        items: &'a mut Vec<Value>,
        missing: Missing,
        places: &mut Places,
    ) -> Result<&'a mut Value, Blocked> {
        let index = match (self.position(depth, items, places)?, &self.below[depth], missing) {
            (Some(index), _, _) => index,
            (None, Step::Item { field, value }, Missing::Create) => {
                let made = [(field.clone(), Value::String(value.clone()))].into_iter().collect();
                items.push(Value::Object(made));
                places.made(self.above(depth), (field, value), items.len() - 1);
                items.len() - 1
            }
            (None, Step::Item { field, value }, Missing::Refuse) => {
                return Err(Blocked::NoItem(field.clone(), value.clone()));
            }
            (None, Step::Key(key), _) => return Err(Blocked::NoPosition(key.clone())),
        };
        items.get_mut(index).ok_or_else(|| Blocked::NoPosition(index.to_string()))
    }

    /// Returns the field and value of an item that the written value no longer has.
    ///
    /// It would not be found again, and would be created over and over.
    fn lost_item(&self, page: &Map<String, Value>, places: &mut Places) -> Option<(&str, &str)> {
        let (field, value) = match self.below.as_slice() {
            [.., Step::Item { field, value }] => (field, value),
            [.., Step::Item { field, value }, Step::Key(key)] if key == field => (field, value),
            _ => return None,
        };
        let has_field = |item: &Value| shown(item, field).is_some_and(|found| found == **value);
        let depth = self.below.iter().rposition(|step| matches!(step, Step::Item { .. }))? + 1;
        let item = self.above(depth).read_at(page, places);
        (!item.is_some_and(has_field)).then_some((field, value))
    }

    /// Returns the same place with `name` applied to each of its names separately.
    ///
    /// Text inserted into one name therefore cannot become several.
    pub fn renamed(&self, name: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let step = |step: &Step| {
            Some(match step {
                Step::Key(key) => Step::Key(name(key)?),
                Step::Item { field, value } => Step::Item { field: name(field)?, value: name(value)? },
            })
        };
        Some(Self { key: name(&self.key)?, below: self.below.iter().map(step).collect::<Option<_>>()? })
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below.is_empty() && !self.key.starts_with('/') {
            return f.write_str(&self.key);
        }
        write!(f, "/{}", escaped(&self.key))?;
        self.below.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, "/{}", escaped(key)),
            Step::Item { field, value } => {
                let plain = |text: &str| text.replace('~', "~0").replace('/', "~1");
                write!(f, "[{}={}]", plain(field), plain(value))
            }
        })
    }
}

/// Escapes a key as in RFC 6901, with `~2` for a bracket.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1").replace('[', "~2")
}

fn unescaped(text: &str) -> String {
    text.replace("~2", "[").replace("~1", "/").replace("~0", "~")
}

/// Splits `site_hours[site_name=Leeds]` into name, field and value.
fn split_item(step: &str) -> Option<(&str, &str, &str)> {
    let (name, condition) = step.strip_suffix(']')?.split_once('[')?;
    let (field, value) = condition.split_once('=')?;
    (!field.is_empty()).then_some((name, field, value))
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nothing = || format!("invalid variable name \"{text}\"");
        let Some(pointer) = text.strip_prefix('/') else {
            return match text.is_empty() {
                false => Ok(Self { key: text.to_owned(), below: Vec::new() }),
                true => Err(nothing()),
            };
        };
        let mut steps = Vec::new();
        for step in pointer.split('/') {
            let Some((name, field, value)) = split_item(step) else {
                steps.push(Step::Key(unescaped(step)));
                continue;
            };
            steps.push(Step::Key(unescaped(name)));
            steps.push(Step::Item { field: unescaped(field), value: unescaped(value) });
        }
        let mut steps = steps.into_iter();
        match steps.next() {
            Some(Step::Key(key)) if !key.is_empty() => Ok(Self { key, below: steps.collect() }),
            _ => Err(nothing()),
        }
    }
}

#[cfg(test)]
mod tests;
