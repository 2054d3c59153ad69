//! Copies rows from one database to another, whatever the two are: all of them to move a store, and those
//! that are more than history to keep a copy, which may come back.

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

/// A table.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// The condition of rows that are more than history, in SQL.
    current: &'static str,
    back: Back,
}

/// The treatment of a table of a database when the rows of its copy come back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Back {
    /// All of its rows are replaced.
    Replace,
    /// Rows are added, and replace those with the same values in this many of the first columns.
    Merge(usize),
}

const ALL: &str = "true";

/// The newest PATCH of a page may be tried again, and its time is the latest one known.
macro_rules! current_writes {
    () => {
        "outcome IN ('intended', 'unknown') OR id IN (SELECT max(id) FROM writes GROUP BY page)"
    };
}
macro_rules! current_changes {
    () => {
        concat!("write IN (SELECT id FROM writes WHERE ", current_writes!(), ")")
    };
}
const CURRENT_WRITES: &str = current_writes!();
const CURRENT_CHANGES: &str = current_changes!();
/// With the last number given: what happens on a copy gets the next one.
const CURRENT_DRIFTS: &str = "ended_at IS NULL OR id = (SELECT max(id) FROM drifts)";
const CURRENT_TEXTS: &str = concat!(
    "'#' || hash IN (SELECT before FROM changes WHERE ",
    current_changes!(),
    " UNION SELECT after FROM changes WHERE ",
    current_changes!(),
    " UNION SELECT base FROM drifts WHERE ended_at IS NULL",
    " UNION SELECT found FROM drifts WHERE ended_at IS NULL",
    " UNION SELECT desired FROM drifts WHERE ended_at IS NULL)"
);

/// The tables, each after those that it refers to.
///
/// The lease, the requests and the replicas belong to a database and are not copied.
const TABLES: &[Table] = &[
    Table {
        name: "owners",
        columns: &[("id", Integer), ("api", Text), ("name", Text)],
        current: ALL,
        back: Back::Merge(1),
    },
    Table {
        name: "pages",
        columns: &[
            ("id", Integer),
            ("owner", Integer),
            ("agent", Text),
            ("environment", Text),
            ("schema", Text),
            ("problem", Text),
            ("problem_since", At),
        ],
        current: ALL,
        back: Back::Merge(1),
    },
    Table {
        name: "bases",
        columns: &[("page", Integer), ("variable", Text), ("value", Text)],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "writes",
        columns: &[
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
        current: CURRENT_WRITES,
        back: Back::Merge(1),
    },
    Table {
        name: "changes",
        columns: &[
            ("write", Integer),
            ("variable", Text),
            ("before", Text),
            ("after", Text),
            ("because", Text),
        ],
        current: CURRENT_CHANGES,
        back: Back::Merge(2),
    },
    Table {
        name: "texts",
        columns: &[("hash", Text), ("owner", Integer), ("text", Text), ("used_at", At)],
        current: CURRENT_TEXTS,
        back: Back::Merge(2),
    },
    Table {
        name: "overrides",
        columns: &[
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
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "overridden",
        columns: &[("override", Integer), ("page", Integer), ("until", At), ("part", Text)],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "approvals",
        columns: &[("owner", Integer), ("revision", Text), ("at", At), ("who", Text), ("used_at", At)],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "drifts",
        columns: &[
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
        current: CURRENT_DRIFTS,
        back: Back::Merge(1),
    },
    Table {
        name: "facts",
        columns: &[("owner", Integer), ("name", Text), ("value", Text)],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "accepted",
        columns: &[
            ("owner", Integer),
            ("path", Text),
            ("content", Bytes),
            ("accepted_at", At),
            ("since", Integer),
            ("until", Integer),
        ],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "behind",
        columns: &[("page", Integer), ("as_of", Integer), ("since", At)],
        current: ALL,
        back: Back::Replace,
    },
    Table {
        name: "kept",
        columns: &[("page", Integer), ("as_of", Integer)],
        current: ALL,
        back: Back::Replace,
    },
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

/// A value that outlives its statement.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
    Instant(Instant),
}

impl From<&Param<'_>> for Value {
    fn from(param: &Param) -> Self {
        match *param {
            Param::Null => Self::Null,
            Param::Integer(number) => Self::Integer(number),
            Param::Text(text) => Self::Text(text.to_owned()),
            Param::Bytes(bytes) => Self::Bytes(bytes.to_owned()),
            Param::Instant(at) => Self::Instant(at),
        }
    }
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

/// Passes on all rows, table by table.
pub(in crate::store) fn read_all(
    session: &mut dyn Session,
    take: &mut dyn FnMut(Copied) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    read_where(session, |_| ALL, take)
}

/// Passes on the rows that are more than history, table by table.
///
/// A database must show the same instant to all of its queries.
pub(in crate::store) fn read_current(
    session: &mut dyn Session,
    take: &mut dyn FnMut(Copied) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    read_where(session, |table| table.current, take)
}

fn read_where(
    session: &mut dyn Session,
    condition: fn(&Table) -> &'static str,
    take: &mut dyn FnMut(Copied) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for (number, table) in TABLES.iter().enumerate() {
        let sql = format!("SELECT {} FROM {} WHERE {}", table.list(), table.name, condition(table));
        session.each(&sql, &[], &mut |row| {
            let columns = table.columns.iter().enumerate();
            let values = columns.map(|(index, column)| read(row, index, *column));
            take(Copied { table: number, values: values.collect::<Result<_, _>>()? })
        })?;
    }
    Ok(())
}

impl Table {
    /// Returns the names of the columns.
    fn list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
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
    let mut writing = Writing::new(session, false);
    for row in rows {
        writing.take(row)?;
    }
    writing.end()
}

/// Deletes all rows.
pub(in crate::store) fn clear(session: &mut dyn Session) -> Result<(), StoreError> {
    delete(session, |_| true)
}

/// Replaces the rows of a database by those of its copy; the history that the copy lacks stays.
pub(in crate::store) fn put_back(
    session: &mut dyn Session,
    copy: impl FnOnce(&mut dyn FnMut(Copied) -> Result<(), StoreError>) -> Result<(), StoreError>,
) -> Result<u64, StoreError> {
    delete(session, |table| table.back == Back::Replace)?;
    let mut writing = Writing::new(session, true);
    copy(&mut |row| writing.take(row))?;
    writing.end()
}

fn delete(session: &mut dyn Session, which: fn(&Table) -> bool) -> Result<(), StoreError> {
    for table in TABLES.iter().rev().filter(|table| which(table)) {
        session.execute(&format!("DELETE FROM {}", table.name), &[])?;
    }
    Ok(())
}

/// Writes rows in batches, table by table.
pub(in crate::store) struct Writing<'s> {
    session: &'s mut dyn Session,
    /// True if rows may exist.
    merges: bool,
    batch: Vec<Copied>,
    count: u64,
}

impl<'s> Writing<'s> {
    pub(in crate::store) fn new(session: &'s mut dyn Session, merges: bool) -> Self {
        Self { session, merges, batch: Vec::new(), count: 0 }
    }

    /// Writes a row, now or later.
    pub(in crate::store) fn take(&mut self, row: Copied) -> Result<(), StoreError> {
        self.count += 1;
        if self.batch.len() == BATCH || self.batch.first().is_some_and(|first| first.table != row.table) {
            self.write()?;
        }
        self.batch.push(row);
        Ok(())
    }

    /// Writes the rows that remain; returns the number of all.
    pub(in crate::store) fn end(mut self) -> Result<u64, StoreError> {
        self.write()?;
        Ok(self.count)
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.batch);
        let Some(first) = rows.first() else { return Ok(()) };
        let table = &TABLES[first.table];
        let mut next = 1..;
        let places = rows.iter().map(|row| {
            let numbers = next.by_ref().take(row.values.len()).map(|number| format!("?{number}"));
            format!("({})", numbers.collect::<Vec<_>>().join(", "))
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let mut sql = format!("INSERT INTO {} ({}) VALUES {places}", table.name, table.list());
        if let (true, Back::Merge(key)) = (self.merges, table.back) {
            let (key, rest) = table.columns.split_at(key);
            let names = |columns: &[(&str, Kind)], name: fn(&str) -> String| {
                columns.iter().map(|(column, _)| name(column)).collect::<Vec<_>>().join(", ")
            };
            let key = names(key, str::to_owned);
            let rest = names(rest, |name| format!("{name} = excluded.{name}"));
            sql.push_str(&format!(" ON CONFLICT ({key}) DO UPDATE SET {rest}"));
        }
        let params: Vec<Param> = rows.iter().flat_map(|row| row.values.iter().map(ToParam::param)).collect();
        self.session.execute(&sql, &params).map(drop)
    }
}
