//! The definition of a variable, as the settings write it.

use serde_json::Value;

use crate::limits::settings::{MAX_JSON_SOURCE_VALUE, MAX_SHAPE_DAYS};
use crate::model::{Cell, Problem, Row, nearest};
use crate::tables::{Table, names_of_formats};
use crate::written::{Entry, Fields, Node, Raw, Reader, Text};

use super::compiler::Compiler;
use super::context::Context;
use crate::pages::definition::Expression;
use crate::pages::definition::{Definition, UntypedValue};
use crate::shapes::{self, CalendarShape, Language, Rendering, SHAPES, Shape, TimeFormat};

/// The kinds of definitions, by the key that identifies each, with all its keys.
const DEFINITIONS: [(&str, &[&str]); 10] = [
    ("when", &["when", "otherwise", "timezone"]),
    ("value", &["value"]),
    ("pointer", &["source", "pointer"]),
    ("column", &["source", "row", "column"]),
    ("calendar", &["calendar", "show", "summary", "category", "timezone", "otherwise"]),
    ("each", &["each", "where", "unless", "join", "timezone", "hours", "item"]),
    ("object", &["object"]),
    ("list", &["list"]),
    ("expression", &["expression", "with"]),
    ("show", &["hours", "show", "format", "days", "language", "reader", "otherwise"]),
];

const KINDS: &str = "write a value, or a table with value, column, pointer, show (with hours or \
                     calendar), when, expression, object, list or each";

impl Compiler<'_> {
    /// Reads a definition; returns none if it is invalid, or known only with the inputs.
    pub(super) fn definition(&self, reader: &Reader, node: &Node, context: &Context) -> Option<Definition> {
        let Raw::Table(_) = &node.raw else {
            return constant(reader, node);
        };
        let all = reader.open_table(node, "a variable")?;
        let Some((kind, keys)) = DEFINITIONS.iter().find(|(kind, _)| all.get(kind).is_some()) else {
            let known = DEFINITIONS.iter().map(|(kind, _)| *kind);
            let meant = all.entries.first().and_then(|entry| nearest(&entry.key, known));
            let problem = Problem::at(&node.origin, "this defines no value");
            reader.note(match meant {
                Some(meant) => problem.hint(format!("did you mean \"{meant}\"? {KINDS}")),
                None => problem.hint(KINDS),
            });
            return None;
        };
        let fields = reader.table(node, "a variable", keys)?;
        match *kind {
            "when" => self.when(reader, &fields, context),
            "value" => constant(reader, all.get("value")?),
            "pointer" => self.pointer(reader, &fields),
            "column" => self.column(reader, &fields),
            "calendar" => self.calendar(reader, &fields, context),
            "each" => self.array_of_rows(reader, node, &fields, context),
            "object" => {
                let entries = self.named_definitions(reader, all.get("object")?, "object", context)?;
                Some(Definition::Object { entries, origin: node.origin.clone() })
            }
            "list" => {
                let nodes = reader.list(all.get("list")?, "list")?;
                let items: Vec<_> = nodes.iter().map(|node| self.definition(reader, node, context)).collect();
                let items = items.into_iter().collect::<Option<_>>()?;
                Some(Definition::List { items, rows: Vec::new(), origin: node.origin.clone() })
            }
            "expression" => self.expression(reader, &fields, context),
            _ => self.hours_value(reader, &fields, context),
        }
    }

    /// Reads a table of named definitions.
    fn named_definitions(
        &self,
        reader: &Reader,
        node: &Node,
        what: &'static str,
        context: &Context,
    ) -> Option<Vec<(String, Definition)>> {
        let fields = reader.open_table(node, what)?;
        let entries: Vec<_> = fields
            .entries
            .iter()
            .map(|entry| {
                let definition = self.definition(reader, &entry.node, context);
                Some((reader.fill_in(&entry.key, &entry.at)?.value, definition?))
            })
            .collect();
        entries.into_iter().collect()
    }

    /// Reads an array with an item for each row: `{ each = "sites", item = { … } }`.
    fn array_of_rows(
        &self,
        reader: &Reader,
        node: &Node,
        fields: &Fields,
        outer: &Context,
    ) -> Option<Definition> {
        let repeat = self.repeat_of(reader, node, fields, ("each", "each"))?;
        let item = fields.require(reader, "item")?;
        let read = |reader: &Reader, row: Option<&Row>| {
            let context = self.context(reader, node, fields, row, Some(outer)).or(outer);
            match item.raw {
                // Most items are objects, so an object needs no keyword.
                Raw::Table(_) if !is_definition(item) => {
                    let entries = self.named_definitions(reader, item, "item", &context)?;
                    Some(Definition::Object { entries, origin: item.origin.clone() })
                }
                _ => self.definition(reader, item, &context),
            }
        };
        if self.inputs.is_none() {
            reader.within_row_to_come(|reader| read(reader, None))?;
            return None;
        }
        let made = self.each(reader, &repeat, |reader, row| read(reader, Some(row)))?;
        let (rows, items) = made.into_iter().unzip();
        Some(Definition::List { items, rows, origin: node.origin.clone() })
    }

    /// Reads `{ expression = "open and not holiday", with = { open = …, holiday = … } }`.
    fn expression(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Definition> {
        let node = fields.get("expression")?;
        let Raw::Text(text) = &node.raw else {
            reader.wrong_kind(node, "text", "expression");
            return None;
        };
        if let Some(node) = fields.get("with")
            && matches!(&node.raw, Raw::Table(entries) if entries.is_empty())
        {
            reader.note(Problem::at(&node.origin, "`with` has no values").hint("leave it out"));
        }
        let inputs = match fields.get("with") {
            Some(node) => self.named_definitions(reader, node, "with", context),
            None => Some(Vec::new()),
        };
        let cells = |row: &Row| row.texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        let rows = reader.rows().iter().map(|scoped| (scoped.name.clone(), cells(&scoped.row))).collect();
        let is_all_known = inputs.is_some() && !reader.is_before_its_row();
        let expression = Expression {
            text: text.clone(),
            inputs: inputs.unwrap_or_default(),
            rows,
            origin: node.origin.clone(),
        };
        reader.ok(expression.check())?;
        if is_all_known {
            reader.ok(expression.check_names())?;
        }
        (fields.get("with").is_none() || !expression.inputs.is_empty())
            .then(|| Definition::Expression(Box::new(expression)))
    }

    /// Reads a value in a JSON source.
    fn pointer(&self, reader: &Reader, fields: &Fields) -> Option<Definition> {
        let source = reader.text(fields.require(reader, "source")?, "source");
        let pointer = reader.text(fields.require(reader, "pointer")?, "pointer");
        let source = source?;
        let table = self.table(reader, &source)?;
        let pointer = pointer?;
        let Table::Tree(root) = &*table else {
            let message =
                format!("source \"{}\" has rows; a pointer needs {}", source.value, names_of_formats(false));
            reader.note(Problem::at(&pointer.origin, message).hint("name a cell with row and column"));
            return None;
        };
        let Some(node) = root.pointer(&pointer.value) else {
            let (message, hint) = root.nothing_at(&pointer.value);
            reader.note(Problem::at(&pointer.origin, message).hint(hint));
            return None;
        };
        if node.size() > MAX_JSON_SOURCE_VALUE {
            let message = format!("the value is larger than {} MiB", MAX_JSON_SOURCE_VALUE >> 20);
            reader.note(Problem::at(&node.origin, message).hint("own its parts by separate variables"));
            return None;
        }
        Some(Definition::Constant { value: node.to_json(), origin: node.origin.clone() })
    }

    /// Reads a cell of the page's own row, or of a named row of a source.
    fn column(&self, reader: &Reader, fields: &Fields) -> Option<Definition> {
        let column = reader.text(fields.require(reader, "column")?, "column");
        let Some(source) = fields.get("source") else {
            let Some(row) = reader.row() else {
                if !reader.has_rows() {
                    reader.note(
                        Problem::at(fields.origin, "`column` requires a row")
                            .hint("set source and row, or set for_each on the page"),
                    );
                }
                return None;
            };
            return cell(reader, row, &column?);
        };
        let source = reader.text(source, "source")?;
        let key = reader.text(fields.require(reader, "row")?, "row");
        let table = self.table(reader, &source)?;
        let (key, column) = (key?, column?);
        self.with_rows(reader, &source, &table, |rows| {
            let row = self.keyed(reader, rows, &key)?;
            cell(reader, row, &column)
        })
    }

    fn calendar(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Definition> {
        let name = reader.text(fields.get("calendar")?, "calendar")?;
        let known = self.knows_calendar(reader, &name);
        let show = fields.require(reader, "show").and_then(|node| {
            let text = reader.text(node, "show")?;
            let show = CalendarShape::named(&text.value);
            let known = || CalendarShape::ALL.iter().map(|(name, ..)| *name).collect::<Vec<_>>();
            reader.ok(show.ok_or_else(|| unknown_shape(&text, "a calendar", &known())))
        });
        let filter = self.filter(reader, fields, &name.value);
        let zone = known.then(|| self.zone(reader, fields, context, Some(&name.value)))??;
        let agenda = self.agenda(reader, &name, filter, zone)?;
        Some(Definition::Calendar {
            agenda,
            name: name.value,
            zone,
            show: show?,
            otherwise: otherwise(reader, fields)?,
            origin: fields.origin.clone(),
        })
    }

    fn hours_value(&self, reader: &Reader, fields: &Fields, context: &Context) -> Option<Definition> {
        let days = match fields.get("days") {
            Some(node) => reader.integer(node, "days", 1, MAX_SHAPE_DAYS),
            None => None,
        };
        let text = reader.text(fields.get("show")?, "show")?;
        let language: Option<Language> = match fields.get("language") {
            Some(node) => {
                let hint = format!("write {}", listed(&Language::codes(), "or"));
                Some(reader.parse(node, "language", &hint)?)
            }
            None => None,
        };
        let known = || SHAPES.iter().map(|shape| shape.name()).collect::<Vec<_>>();
        let found = shapes::named(&text.value);
        let mut show = reader.ok(found.ok_or_else(|| unknown_shape(&text, "hours", &known())))?;
        show.with.days = days.unwrap_or(show.with.days);
        show.with.language = language.unwrap_or(show.with.language);
        let format = self.format(reader, fields, &show);
        let hours = self.hours_for(reader, "show", fields, context);
        let takes = show.shape.takes();
        if !takes.days {
            superfluous(reader, fields, "days", |shape| shape.takes().days);
        }
        if !takes.language {
            superfluous(reader, fields, "language", |shape| shape.takes().language);
        }
        if let Some(node) = fields.get("reader") {
            show.with.consumer = reader.parse(node, "reader", "write one_interval, intervals or none")?;
        }
        show.with.format = format?;
        Some(Definition::Hours {
            hours: hours?,
            show,
            otherwise: otherwise(reader, fields)?,
            origin: fields.origin.clone(),
        })
    }

    fn format(&self, reader: &Reader, fields: &Fields, show: &Rendering) -> Option<TimeFormat> {
        let hint = "write hour, HH:MM, HH:MM:SS or RFC 3339";
        match (fields.get("format"), show.shape.takes().format) {
            (None, _) => Some(show.with.format),
            (Some(node), Some(_)) => reader.parse(node, "format", hint),
            (Some(node), None) => {
                let message = "the value shown here is not a time and has no format";
                reader.note(Problem::at(&node.origin, message).hint("leave it out"));
                None
            }
        }
    }
}

/// Lists names for a message: `a, b and c`.
fn listed(names: &[&str], conjunction: &str) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => {
            format!("{} {conjunction} {last}", others.join(", "))
        }
        _ => names.concat(),
    }
}

/// Refuses a parameter that the shape does not take, and lists the shapes that do.
fn superfluous(reader: &Reader, fields: &Fields, key: &str, takes: impl Fn(&dyn Shape) -> bool) {
    if fields.get(key).is_some() {
        let names: Vec<&str> =
            SHAPES.iter().filter(|shape| takes(**shape)).map(|shape| shape.name()).collect();
        let message = format!("{key} applies only to {}", listed(&names, "and"));
        reader.note(Problem::at(fields.origin, message).hint("leave it out, or show one of these"));
    }
}

/// Returns true if all keys of a table belong to one kind of definition.
///
/// Any other table is an object written in place.
fn is_definition(node: &Node) -> bool {
    let Raw::Table(entries) = &node.raw else { return false };
    DEFINITIONS.iter().any(|(kind, keys)| {
        node.get(kind).is_some() && entries.iter().all(|entry| keys.contains(&entry.key.as_str()))
    })
}

/// Reads a literal value as a definition.
fn constant(reader: &Reader, node: &Node) -> Option<Definition> {
    let origin = node.origin.clone();
    Some(match as_written(reader, node)? {
        UntypedValue::Json(value) => Definition::Constant { value, origin },
        UntypedValue::Cell(cell) => Definition::Cell(cell),
        value => Definition::Set { value, origin },
    })
}

/// Reads a literal value. Text that a row fills in is typed like the cell it comes from.
fn as_written(reader: &Reader, node: &Node) -> Option<UntypedValue> {
    let value = match &node.raw {
        Raw::Text(written) => {
            let text = reader.text(node, "a value")?;
            return Some(match text.value == *written {
                true => UntypedValue::Json(Value::String(text.value)),
                false => UntypedValue::Cell(Cell { text: text.value, origin: text.origin }),
            });
        }
        Raw::List(items) => {
            UntypedValue::List(items.iter().map(|item| as_written(reader, item)).collect::<Option<_>>()?)
        }
        Raw::Table(entries) => {
            let entry = |entry: &Entry| {
                let key = reader.fill_in(&entry.key, &entry.at)?.value;
                Some((key, as_written(reader, &entry.node)?))
            };
            UntypedValue::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => UntypedValue::Json(node.to_json()),
    };
    Some(value.plain())
}

/// Returns the value to use if there is nothing to show: null, unless the settings set one.
fn otherwise(reader: &Reader, fields: &Fields) -> Option<UntypedValue> {
    fields.get("otherwise").map_or(Some(UntypedValue::Json(Value::Null)), |node| as_written(reader, node))
}

fn cell(reader: &Reader, row: &Row, column: &Text) -> Option<Definition> {
    let cell = row.cell(&column.value).ok_or_else(|| row.no_column(&column.origin, &column.value));
    Some(Definition::Cell(reader.ok(cell)?))
}

fn unknown_shape(text: &Text, what: &str, known: &[&str]) -> Problem {
    Problem::at(&text.origin, format!("{what} cannot show \"{}\"", text.value)).did_you_mean(
        &text.value,
        known.iter().copied(),
        format!("known values: {}", known.join(", ")),
    )
}
