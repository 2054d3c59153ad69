//! Copies all rows from one database to another, whatever the two are.

use crate::model::Instant;
use crate::store::StoreError;

use super::{Param, Row, Session, ToParam};

/// The type of a column.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Integer,
    Text,
    Bytes,
    Instant,
}
use Kind::{Bytes, Instant as At, Integer, Text};

/// The tables, each after those that it refers to.
///
/// The lease, the requests and the replicas belong to a database and are not copied.
const TABLES: &[(&str, &[(&str, Kind)])] = &[
    ("owners", &[("id", Integer), ("api", Text), ("name", Text)]),
    (
        "pages",
        &[
            ("id", Integer),
            ("owner", Integer),
            ("agent", Text),
            ("environment", Text),
            ("schema", Text),
            ("problem", Text),
            ("problem_since", At),
        ],
    ),
    ("bases", &[("page", Integer), ("variable", Text), ("value", Text)]),
    (
        "writes",
        &[
            ("id", Integer),
            ("page", Integer),
            ("at", At),
            ("who", Text),
            ("outcome", Text),
            ("settled_at", At),
            ("correlation_id", Text),
            ("error", Text),
            ("tries", Integer),
        ],
    ),
    (
        "changes",
        &[("write", Integer), ("variable", Text), ("before", Text), ("after", Text), ("because", Text)],
    ),
    ("texts", &[("hash", Text), ("owner", Integer), ("text", Text), ("used_at", At)]),
    (
        "overrides",
        &[
            ("id", Integer),
            ("owner", Integer),
            ("at", At),
            ("who", Text),
            ("reason", Text),
            ("says", Text),
            ("variable", Text),
            ("value", Text),
            ("released_at", At),
            ("released_by", Text),
        ],
    ),
    ("overridden", &[("override", Integer), ("page", Integer), ("until", At), ("part", Text)]),
    ("approvals", &[("owner", Integer), ("revision", Text), ("at", At), ("who", Text), ("used_at", At)]),
    (
        "drifts",
        &[
            ("id", Integer),
            ("page", Integer),
            ("variable", Text),
            ("base", Text),
            ("found", Text),
            ("desired", Text),
            ("answer", Text),
            ("since", At),
            ("by", Text),
            ("ended_at", At),
        ],
    ),
    ("facts", &[("owner", Integer), ("name", Text), ("value", Text)]),
    (
        "accepted",
        &[
            ("owner", Integer),
            ("path", Text),
            ("content", Bytes),
            ("accepted_at", At),
            ("since", Integer),
            ("until", Integer),
        ],
    ),
    ("behind", &[("page", Integer), ("as_of", Integer), ("since", At)]),
    ("kept", &[("page", Integer), ("as_of", Integer)]),
];

/// The tables whose rows are numbered by the database.
pub(in crate::store) const NUMBERED: [&str; 5] = ["owners", "pages", "writes", "overrides", "drifts"];

/// Rows that one statement inserts.
const BATCH: usize = 100;

/// A row of a table.
#[derive(Debug)]
pub struct Copied {
    /// The number of the table.
    table: usize,
    values: Vec<Value>,
}

#[derive(Debug)]
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Instant(Instant),
}

impl ToParam for Value {
    fn param(&self) -> Param<'_> {
        match self {
            Self::Null => Param::Null,
            Self::Integer(number) => Param::Integer(*number),
            Self::Text(text) => Param::Text(text),
            Self::Bytes(bytes) => Param::Bytes(bytes),
            Self::Instant(at) => Param::Instant(*at),
        }
    }
}

/// Returns true if a store has rows.
pub(in crate::store) fn has_rows(session: &mut dyn Session) -> Result<bool, StoreError> {
    Ok(session.first::<i64>("SELECT count(*) FROM owners", &[])?.is_some_and(|count| count > 0))
}

/// Passes on all rows, table by table, as long as they are taken.
pub(in crate::store) fn read_all(
    session: &mut dyn Session,
    take: &mut dyn FnMut(Copied) -> bool,
) -> Result<(), StoreError> {
    for (table, (name, columns)) in TABLES.iter().enumerate() {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        session.each(&format!("SELECT {} FROM {name}", names.join(", ")), &[], &mut |row| {
            let values = columns.iter().enumerate().map(|(index, column)| read(row, index, *column));
            match take(Copied { table, values: values.collect::<Result<_, _>>()? }) {
                true => Ok(()),
                false => Err(StoreError::Closed),
            }
        })?;
    }
    Ok(())
}

fn read(row: &dyn Row, index: usize, (name, kind): (&str, Kind)) -> Result<Value, StoreError> {
    let value = match kind {
        Kind::Integer => row.integer(index)?.map(Value::Integer),
        Kind::Text => row.text(index)?.map(Value::Text),
        Kind::Bytes => row.bytes(index)?.map(Value::Bytes),
        // Settings that an old store kept as a fact have no time.
        Kind::Instant if name == "accepted_at" => {
            Some(Value::Instant(row.instant(index)?.unwrap_or(Instant::UNIX_EPOCH)))
        }
        Kind::Instant => row.instant(index)?.map(Value::Instant),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Inserts the rows of another store; returns their number.
pub(in crate::store) fn write_all(
    session: &mut dyn Session,
    rows: &mut dyn Iterator<Item = Copied>,
) -> Result<u64, StoreError> {
    let (mut batch, mut count): (Vec<Copied>, u64) = (Vec::new(), 0);
    for row in rows {
        count += 1;
        if batch.len() == BATCH || batch.first().is_some_and(|first| first.table != row.table) {
            insert(session, &std::mem::take(&mut batch))?;
        }
        batch.push(row);
    }
    insert(session, &batch)?;
    Ok(count)
}

/// Inserts rows of one table.
fn insert(session: &mut dyn Session, rows: &[Copied]) -> Result<(), StoreError> {
    let Some(first) = rows.first() else { return Ok(()) };
    let (name, columns) = TABLES[first.table];
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut next = 1..;
    let places = rows.iter().map(|row| {
        let numbers = next.by_ref().take(row.values.len()).map(|number| format!("?{number}"));
        format!("({})", numbers.collect::<Vec<_>>().join(", "))
    });
    let places = places.collect::<Vec<_>>().join(", ");
    let params: Vec<Param> = rows.iter().flat_map(|row| row.values.iter().map(ToParam::param)).collect();
    session.execute(&format!("INSERT INTO {name} ({}) VALUES {places}", names.join(", ")), &params).map(drop)
}
