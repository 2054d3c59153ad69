//! What a person sets for a while stands above everything that is worked out, and gives way to it again at its end.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::Value;

use crate::hours::{Forced, Hours};
use crate::model::{Cell, Instant, Origin, PageId, Row, RowName, Variable, after, shorten};

use super::conditions::Condition;
use super::definition::Overruled;
use super::override_value::{replaced, typed};
use super::{Definition, Owned, Page, Wanted};

/// Rows that are named where an override is told in a line.
const NAMED: usize = 3;

/// A person's decision about some pages, until an end of each page's own or until it is released.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Its number; 0 as long as it is not set.
    pub id: i64,
    /// When it was set, which is when it begins.
    pub at: Instant,
    /// Who set it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// What it says.
    pub says: Says,
    /// The pages, each with its end; none where it lasts until it is released.
    pub pages: BTreeMap<PageId, Option<Instant>>,
    /// What is meant of a page that shows many sites; a page that is not here is meant whole.
    pub parts: BTreeMap<PageId, Part>,
}

/// What an override means of a page: rows that something on it is made for. They are those that had the cells when it was
/// set, known by their keys, so that no edit of another cell ends it before its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// What the page has without a row is meant too, because its own row is.
    pub own: bool,
    /// The ends of the rows, by their table and their key.
    rows: BTreeMap<Keyed, BTreeMap<String, Option<Instant>>>,
}

/// A table whose rows are known by a column: its source, where that is known, and the column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Keyed {
    source: Option<String>,
    column: String,
}

impl Keyed {
    /// The key by which a row is one of the table or belongs to one, if it may be either. The key of another table
    /// is no key of this one, though its column be called the same.
    fn of<'r>(&self, row: &'r Row) -> Option<&'r str> {
        let is_own = self.source.is_none() || self.source.as_deref() == row.source.as_deref();
        let is_meant = is_own || row.key_column() != Some(&*self.column);
        row.cell(&self.column).filter(|_| is_meant).map(|cell| cell.text.trim())
    }
}

impl Part {
    /// These rows, each with its end.
    pub fn new(own: bool, rows: impl IntoIterator<Item = (RowName, Option<Instant>)>) -> Self {
        let mut part = Self { own, rows: BTreeMap::new() };
        for (RowName { source, column, key }, until) in rows {
            part.rows.entry(Keyed { source, column }).or_default().insert(key, until);
        }
        part
    }

    /// The rows, each with its end.
    pub fn rows(&self) -> impl Iterator<Item = (RowName, Option<Instant>)> {
        self.rows.iter().flat_map(|(Keyed { source, column }, keys)| {
            let name =
                |key: &String| RowName { source: source.clone(), column: column.clone(), key: key.clone() };
            keys.iter().map(move |(key, until)| (name(key), *until))
        })
    }

    /// The same by the sources as they are called now: what no row of the page comes from any more was called otherwise.
    fn as_called_on(&self, page: &Page) -> Cow<'_, Self> {
        let made = page.made_for_rows();
        let rows = page.row.iter().chain(made.iter().map(|made| made.row));
        let sources: BTreeSet<&str> = rows.filter_map(|row| row.source.as_deref()).collect();
        let is_known = |table: &Keyed| table.source.as_deref().is_none_or(|name| sources.contains(name));
        if self.rows.keys().all(is_known) {
            return Cow::Borrowed(self);
        }
        let rows = self.rows().map(|(name, until)| {
            let table = Keyed { source: name.source.clone(), column: name.column.clone() };
            (RowName { source: name.source.filter(|_| is_known(&table)), ..name }, until)
        });
        Cow::Owned(Self::new(self.own, rows))
    }

    /// Whether what is made for a row is meant, and until when. A row that belongs to none of the tables goes with what
    /// it stands in.
    fn decide(&self, row: &Row, around: Option<Option<Instant>>) -> Option<Option<Instant>> {
        let mut decided = around;
        for (table, keys) in &self.rows {
            let Some(key) = table.of(row) else { continue };
            match keys.get(key) {
                Some(until) => return Some(*until),
                None => decided = None,
            }
        }
        decided
    }
}

/// What an override says.
#[derive(Clone, Debug, PartialEq)]
pub enum Says {
    /// The hours of the page are closed.
    Closed,
    /// The hours of the page are open.
    Open,
    /// A variable has a value, as it was typed: JSON for objects and lists, else text that the schema types.
    Set {
        /// Which variable.
        variable: Variable,
        /// Its value.
        value: String,
    },
}

impl Says {
    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Open => "open".to_owned(),
            Self::Set { variable, value } => {
                format!("{variable} = {}", shorten(&Value::String(value.clone()), 60))
            }
        }
    }
}

impl Override {
    /// Number, what it says and of which rows, who and why.
    pub fn describe(&self) -> String {
        self.described(self.parts.values().flat_map(Part::rows).map(|(row, _)| row.to_string()).collect())
    }

    /// The same as far as it concerns one page.
    fn describe_on(&self, page: &PageId) -> String {
        let rows = self.parts.get(page).into_iter().flat_map(Part::rows);
        self.described(rows.map(|(row, _)| row.to_string()).collect())
    }

    fn described(&self, rows: BTreeSet<String>) -> String {
        let named: Vec<String> = rows.iter().take(NAMED).cloned().collect();
        let of = match rows.len() {
            0 => String::new(),
            few if few <= NAMED => format!(" for {}", named.join(", ")),
            many => format!(" for {} and {} more", named.join(", "), many - NAMED),
        };
        format!("{}: {}{of}, by {}: {}", self.name(), self.says.describe(), self.who, self.reason)
    }

    fn name(&self) -> String {
        match self.id {
            0 => "the override".to_owned(),
            id => format!("override {id}"),
        }
    }

    /// The pages, or the rows of pages, that are meant, each with its end.
    pub fn reach(&self) -> Vec<(&PageId, Option<RowName>, Option<Instant>)> {
        let mut all = Vec::new();
        for (page, until) in &self.pages {
            match self.parts.get(page) {
                Some(part) => all.extend(part.rows().map(|(row, until)| (page, Some(row), until))),
                None => all.push((page, None, *until)),
            }
        }
        all
    }

    /// Whether it has an end on every page, and all are past.
    pub fn is_over(&self, now: Instant) -> bool {
        self.pages.values().all(|until| until.is_some_and(|until| until <= now))
    }

    fn origin(&self) -> Origin {
        Origin::named(self.name())
    }

    /// The value that was typed: of the kind of what it replaces, where that is known, else as the schema types it.
    fn value(&self, text: &str, computed: &Definition) -> Wanted {
        let cell = || Wanted::Cell(Cell { text: text.to_owned(), origin: self.origin() });
        match typed(text, &replaced(computed, self.at)) {
            Ok(Some(value)) => Wanted::Json(value),
            Ok(None) | Err(_) => cell(),
        }
    }
}

impl Overruled {
    /// The same override over another value, also below the overrides that it stands above; as long as that is not known,
    /// over what holds during it.
    fn over(&self, value: Option<Definition>) -> Definition {
        let computed = match &self.computed {
            Definition::Overruled(below) => below.over(value),
            _ => value.unwrap_or_else(|| self.during.clone()),
        };
        Definition::Overruled(Box::new(Self { computed, ..self.clone() }))
    }
}

impl Page {
    /// The page with the overrides that concern it; none when there are none. The newest stands above the others.
    pub fn overruled(&self, overrides: &[Override]) -> Option<Page> {
        let mut concerned =
            overrides.iter().filter_map(|set| Some((set, *set.pages.get(&self.id)?))).peekable();
        concerned.peek()?;
        let mut variables = self.variables.clone();
        for (set, until) in concerned {
            let (part, words) = (set.parts.get(&self.id), set.describe_on(&self.id));
            let part = part.map(|part| part.as_called_on(self));
            for owned in &mut variables {
                overrule(owned, set, (until, part.as_deref()), &words);
            }
        }
        Some(Page { variables, ..self.clone() })
    }

    /// What overrides alone make of the page: the variables that they concern, and those that are to be as they were
    /// found before. After an override a variable is as it was found; where it was not there it is as it is computed.
    pub fn overruled_alone(&self, overrides: &[Override], found: &BTreeMap<Variable, Option<Value>>) -> Page {
        let all = self.overruled(overrides);
        let variables = all.as_ref().unwrap_or(self).variables.iter().filter_map(|owned| {
            let before = |value: &Value| Definition::Constant {
                value: value.clone(),
                origin: Origin::named("the page as it was before the override"),
            };
            let definition = match (&owned.definition, found.get(&owned.variable)) {
                (Definition::Overruled(overruled), Some(Some(value))) => overruled.over(Some(before(value))),
                (_, Some(Some(value))) => before(value),
                // A key cannot be taken away again, and what a person decided for an hour must not stay.
                (definition, Some(None)) => definition.clone(),
                (Definition::Overruled(overruled), None) => overruled.over(None),
                (_, None) => return None,
            };
            Some(Owned { definition, ..owned.clone() })
        });
        Page { variables: variables.collect(), ..self.clone() }
    }

    /// Whether any of its variables follows hours, so that it can be closed or opened.
    pub fn has_hours(&self) -> bool {
        self.variables.iter().any(|owned| owned.definition.has_hours())
    }

    /// Everything on it that is made for a row of a table.
    pub fn made_for_rows(&self) -> Vec<Made<'_>> {
        let mut found = Vec::new();
        for owned in &self.variables {
            let Owned { variable, definition, row } = owned;
            found.extend(row.as_ref().map(|row| Made { row, definition, variable: Some(variable) }));
            items_for_rows(definition, &mut found);
        }
        found
    }

    /// The hours that it shows of its own, not for a row of a table.
    pub fn own_hours(&self) -> Vec<&Arc<Hours>> {
        let own = self.variables.iter().filter(|owned| owned.row.is_none());
        own.flat_map(|owned| own_hours(&owned.definition)).collect()
    }
}

/// Something on a page that is made for a row of a table.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// The row.
    pub row: &'a Row,
    /// What is made.
    pub definition: &'a Definition,
    /// The variable, where it is a whole one and no item within one.
    pub variable: Option<&'a Variable>,
}

fn items_for_rows<'a>(definition: &'a Definition, found: &mut Vec<Made<'a>>) {
    if let Definition::List { items, rows, .. } = definition {
        let items = rows.iter().zip(items);
        found.extend(items.map(|(row, definition)| Made { row, definition, variable: None }));
    }
    definition.parts().for_each(|part| items_for_rows(part, found));
}

fn own_hours(definition: &Definition) -> Vec<&Arc<Hours>> {
    match definition {
        Definition::Hours { hours, .. } => vec![hours],
        Definition::List { rows, .. } if !rows.is_empty() => Vec::new(),
        _ => definition.parts().flat_map(own_hours).collect(),
    }
}

fn overrule(owned: &mut Owned, set: &Override, (until, part): (Option<Instant>, Option<&Part>), words: &str) {
    let during = match &set.says {
        Says::Set { variable, value } if *variable == owned.variable => {
            Some(Definition::Set { wanted: set.value(value, &owned.definition), origin: set.origin() })
        }
        Says::Set { .. } => None,
        Says::Closed | Says::Open if !owned.definition.has_hours() => None,
        Says::Closed | Says::Open => Forcing::new(set, until, part).owned(owned),
    };
    let Some(during) = during else { return };
    let computed = owned.definition.clone();
    let words = words.to_owned();
    owned.definition =
        Definition::Overruled(Box::new(Overruled { from: set.at, until, words, during, computed }));
}

/// Puts forced hours in the place of the hours of a definition: of all, or of what is made for some rows.
struct Forcing<'a> {
    open: bool,
    from: Instant,
    /// Which rows are meant, where not all is.
    part: Option<&'a Part>,
    /// The end, where it is; none where the hours are not meant.
    until: Option<Option<Instant>>,
    /// How far ahead of the clock the hours are.
    ahead: TimeDelta,
    /// Hours that several values share stay shared.
    known: BTreeMap<*const Hours, Arc<Hours>>,
    /// Whether any hours were meant.
    is_used: bool,
}

impl<'a> Forcing<'a> {
    fn new(set: &Override, until: Option<Instant>, part: Option<&'a Part>) -> Self {
        Self {
            open: set.says == Says::Open,
            from: set.at,
            part,
            until: part.is_none_or(|part| part.own).then_some(until),
            ahead: TimeDelta::zero(),
            known: BTreeMap::new(),
            is_used: false,
        }
    }

    /// What holds meanwhile; none where nothing of the variable is meant.
    fn owned(mut self, owned: &Owned) -> Option<Definition> {
        let forced = self.of_row(owned.row.as_ref(), &owned.definition);
        self.is_used.then_some(forced)
    }

    /// The same for what is made for a row.
    fn of_row(&mut self, row: Option<&Row>, definition: &Definition) -> Definition {
        let until = match (self.part, row) {
            (Some(part), Some(row)) => part.decide(row, self.until),
            _ => self.until,
        };
        self.with(until, self.ahead, definition)
    }

    fn with(
        &mut self,
        until: Option<Option<Instant>>,
        ahead: TimeDelta,
        definition: &Definition,
    ) -> Definition {
        let mut inner = Forcing { until, ahead, known: BTreeMap::new(), ..*self };
        let forced = inner.definition(definition);
        self.is_used |= inner.is_used;
        forced
    }

    fn hours(&mut self, hours: &Arc<Hours>) -> Arc<Hours> {
        let Some(until) = self.until else { return hours.clone() };
        self.is_used = true;
        let forced = Forced {
            open: self.open,
            from: after(self.from, self.ahead),
            until: until.map(|until| after(until, self.ahead)),
        };
        let known = self.known.entry(Arc::as_ptr(hours));
        known.or_insert_with(|| Arc::new(hours.forced(forced))).clone()
    }

    fn definition(&mut self, definition: &Definition) -> Definition {
        let mut definition = definition.clone();
        match &mut definition {
            Definition::Hours { hours, .. } => *hours = self.hours(hours),
            Definition::When { clauses, otherwise } => {
                for clause in clauses {
                    clause.definition = self.definition(&clause.definition);
                    for condition in &mut clause.conditions.0 {
                        if let Condition::Hours { hours, .. } = condition {
                            *hours = self.hours(hours);
                        }
                    }
                }
                **otherwise = self.definition(otherwise);
            }
            Definition::Overruled(overruled) => {
                overruled.during = self.definition(&overruled.during);
                overruled.computed = self.definition(&overruled.computed);
            }
            Definition::Object { entries, .. } => {
                for (_, entry) in entries {
                    *entry = self.definition(entry);
                }
            }
            Definition::List { items, rows, .. } => {
                for (index, item) in items.iter_mut().enumerate() {
                    *item = match rows.get(index) {
                        Some(row) => self.of_row(Some(row), item),
                        None => self.definition(item),
                    };
                }
            }
            Definition::Expression(expression) => {
                for (_, input) in &mut expression.inputs {
                    *input = self.definition(input);
                }
            }
            // What is decided for now is shown now, though the hours are those of another day.
            Definition::Ahead { of, by } => **of = self.with(self.until, self.ahead + *by, of),
            Definition::Constant { .. }
            | Definition::Cell(_)
            | Definition::Set { .. }
            | Definition::Calendar { .. } => {}
        }
        definition
    }
}
